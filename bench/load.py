"""Servers in processes of their own, and a load on them: what the benchmarks over HTTP have in common."""

import asyncio
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Server:
    """A running server: its port, and the processes that work for it."""

    port: int
    pids: tuple[int, ...]

    def processor_seconds(self) -> float:
        """Processor time spent so far. Read from /proc: zero elsewhere than on Linux."""
        return sum(_processor_seconds(pid) for pid in self.pids)


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(serve: Callable[..., None], *arguments: Any, behind: Server | None = None) -> Iterator[Server]:
    """`serve(port, *arguments)` in a process of its own; the processes of what is `behind` it work for it too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, *arguments))
    process.start()
    try:
        _wait_for(port)
        assert process.pid is not None
        yield Server(port, (process.pid, *(behind.pids if behind else ())))
    finally:
        process.terminate()
        process.join()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server does not start")


class Rates(NamedTuple):
    """Requests a second, and microseconds of processor time a request."""

    a_second: float
    microseconds: float


def request(method: str, path: str, body: bytes = b"", *, token: str | None = None, key: str | None = None) -> bytes:
    """A request as it goes over the wire."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    once = f"Idempotency-Key: {key}\r\n" if key else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{bearer}{once}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def load(server: Server, seconds: float, requests: Callable[[], bytes], *, connections: int) -> Rates:
    """What so many keep-alive connections get answered with 200 or 201, without any HTTP client's own cost."""
    done = 0
    end = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 24)
        while time.perf_counter() < end:
            writer.write(requests())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
                raise RuntimeError((head + body[:500]).decode())
            done += 1
        writer.close()

    started, spent = time.perf_counter(), server.processor_seconds()
    await asyncio.gather(*(one() for _ in range(connections)))
    elapsed, spent = time.perf_counter() - started, server.processor_seconds() - spent
    return Rates(done / elapsed, spent / done * 1e6)
