"""A TCP proxy before PostgreSQL that loses the connection at the worst moment: at a COMMIT."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

Moment = Literal["never", "before commit", "after commit"]


class Proxy:
    """Forwards to a server. When the moment comes, the client's connection is lost; `away` then refuses new ones.

    What `meanwhile` does is done before the client knows of the loss.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url = parts
        self._target = (parts.hostname or "", parts.port or 0)
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.lose: Moment = "never"
        self.away = False
        self.meanwhile: Callable[[], object] = lambda: None
        self.losses = 0

    @property
    def url(self) -> str:
        """The database's address by way of this proxy."""
        user = self._url.netloc.rpartition("@")[0]
        return self._url._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away and self.losses:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        backward = asyncio.create_task(self._copy(server_reader, writer))
        try:
            while data := await reader.read(1 << 16):
                if b"COMMIT" not in data or self.lose == "never":
                    server_writer.write(data)
                    continue
                if self.lose == "after commit":
                    backward.cancel()
                    with suppress(asyncio.CancelledError):
                        await backward
                    server_writer.write(data)
                    assert b"COMMIT" in await server_reader.read(1 << 16)
                self.lose = "never"
                self.losses += 1
                self.meanwhile()
                break
        finally:
            backward.cancel()
            for each in (server_writer, writer):
                each.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()


@asynccontextmanager
async def proxy(url: str) -> AsyncIterator[Proxy]:
    """A proxy before the database at `url`, within this block."""
    before = Proxy(url)
    server = await asyncio.start_server(before._serve, "127.0.0.1", 0)
    before.port = server.sockets[0].getsockname()[1]
    try:
        yield before
    finally:
        server.close()
