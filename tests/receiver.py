"""A web server that keeps what it is sent, and answers as it is told to: what webhooks arrive at."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status: int, *headers: str) -> bytes:
    """An answer of this status, without a body."""
    return "\r\n".join([f"HTTP/1.1 {status} As Told", *headers, "Content-Length: 0", "", ""]).encode()


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Listens on a port of this machine. `answers` says what is answered, bytes as they go out; None for nothing.

    An answer waits at the `gate` that there was when its request came.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.answers: Callable[[Received], bytes | None] = lambda _: OK
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, path: str = "/hooks", *, host: str = "127.0.0.1") -> str:
        """Where it is reached."""
        return f"http://{host}:{self.port}{path}"

    def say(self, *statuses: int) -> None:
        """Answer these statuses one after the other, and the last of them from then on."""
        left = list(statuses)
        self.answers = lambda _: answer(left.pop(0) if len(left) > 1 else left[0])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._answer(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Received(head.split(" ")[1], headers, body)
        self.received.append(request)
        self.arrived.set()
        told = self.answers(request)
        await self.gate.wait()
        if told is None:
            await reader.read()  # until whoever asked gives up
            return
        writer.write(told)
        await writer.drain()
