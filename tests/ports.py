"""Ports for servers that start later, by themselves or in another process."""

import socket


def held_port() -> socket.socket:
    """A bound socket that does not listen, in use as a context manager or until the process ends.

    Whoever connects to its port is refused, whoever is told of it may listen there (also anew after being killed), and
    the system gives it to nobody else meanwhile: a port that is merely free now may be somebody's a moment later.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def url_of(held: socket.socket) -> str:
    """The address of whoever will listen there."""
    return f"http://127.0.0.1:{held.getsockname()[1]}"
