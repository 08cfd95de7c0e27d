"""Files that are made for whoever asks for them."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import Depends, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chassis.core.errors import Unavailable

CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
RETRY_SECONDS = 30
_PIECE = 256 << 10

Make = Callable[[Path], Awaitable[None]]
"""Makes a file at a path. What it needs meanwhile it may put beside it."""


class TooManySpreadsheets(Unavailable):
    code = "too_many_spreadsheets"
    title, title_zh = (
        "Too many spreadsheets are being made; try again in half a minute",
        "正在生成的表格过多，请稍后重试",
    )

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=RETRY_SECONDS)


class Spreadsheets:
    """To make one of very many lines keeps a thread busy for seconds. So a few are made at once, and few more may wait:
    who comes when all places are taken is told to come again.
    """

    def __init__(self, *, at_once: int = 2, places: int = 8) -> None:
        self._at_once = asyncio.Semaphore(at_once)
        self._places = places
        self._abandoned: set[asyncio.Task[BinaryIO]] = set()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those whose spreadsheet is made or sent. Raises TooManySpreadsheets.

        One that nobody waits for any more has its place until it is made.
        """
        if self._places <= len(self._abandoned):
            raise TooManySpreadsheets
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1

    def answer(self, make: Make, name: str) -> Response:
        """The answer with what `make` makes, under a name of ASCII."""
        return _Made(self, make, f'attachment; filename="{name}"')

    async def made(self, make: Make) -> BinaryIO:
        """What `make` makes, when its turn has come: open, and with no name on the disk any more.

        A thread cannot be called off: what was begun is made to its end, though nobody may be there to take it.
        """
        await self._at_once.acquire()
        making = asyncio.create_task(self._made(make))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            self._abandoned.add(making)
            making.add_done_callback(self._drop)
            raise

    async def _made(self, make: Make) -> BinaryIO:
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "made"
                await make(path)
                return path.open("rb")
        finally:
            self._at_once.release()

    def _drop(self, making: asyncio.Task[BinaryIO]) -> None:
        self._abandoned.discard(making)
        if not making.cancelled() and making.exception() is None:
            making.result().close()


class _Made(Response):
    """It begins before the file is made, so that nobody in between gives up; what is made is sent from the disk."""

    def __init__(self, spreadsheets: Spreadsheets, make: Make, disposition: str) -> None:
        super().__init__(media_type=XLSX_TYPE, headers={"Content-Disposition": disposition})
        del self.headers["content-length"]
        self._spreadsheets, self._make = spreadsheets, make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with await self._spreadsheets.made(self._make) as made:
            while piece := await asyncio.to_thread(made.read, _PIECE):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def file_of(media_type: str) -> dict[int | str, dict[str, Any]]:
    """What a route's `responses=` says of a file."""
    kind = media_type.partition(";")[0]
    return {200: {"description": "The file", "content": {kind: {"schema": {"type": "string", "format": "binary"}}}}}


async def _with_a_place(request: Request) -> AsyncIterator[Spreadsheets]:
    """Kept until the answer is sent."""
    spreadsheets: Spreadsheets = request.app.state.spreadsheets
    with spreadsheets.place():
        yield spreadsheets


SpreadsheetsDep = Annotated[Spreadsheets, Depends(_with_a_place, scope="request")]
