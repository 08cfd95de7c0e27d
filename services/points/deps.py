"""What this service's routes ask for by type, besides the chassis's own."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from chassis.core.errors import DomainError
from chassis.core.idempotency import Reply
from chassis.core.turnstile import Turnstile
from chassis.web.deps import take_turn
from chassis.web.problems import domain_problem
from chassis.web.router import reply_of, request_key, response_of
from services.points.ledger.writer import DeedOf, Writer
from services.points.terms import LedgerName

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class AtTheWriter:
    """A request's way to the ledgers' writer.

    For routes that open no session themselves: what they ask for is carried out in the writer's transaction, and what
    is answered is kept in it under the request's `Idempotency-Key`, if it bears one.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._writer: Writer = request.app.state.writer

    async def answer(
        self,
        deed: DeedOf[Asked, Answered],
        asked: Asked,
        render: Callable[[Answered], BaseModel],
        *,
        status: int | Callable[[Answered], int] = 200,
        size: int = 1,
    ) -> Response:
        """Carry out one request; `render` makes the body of its answer, without I/O. Raises as `Writer.reply`.

        `status` may depend on the answer. `size` says how many commands it is worth.
        """

        def reply(answer: Answered | DomainError) -> Reply:
            if isinstance(answer, DomainError):
                return reply_of(domain_problem(answer))
            return _json(status(answer) if callable(status) else status, render(answer))

        key = await request_key(self._request)
        given, repeated = await self._writer.reply(deed, asked, reply, key=key, size=size)
        return response_of(given, repeated=repeated)


def _json(status: int, body: BaseModel) -> Reply:
    return Reply(status, "application/json", body.model_dump_json(by_alias=True).encode())


async def _at_the_writer(request: Request) -> AtTheWriter:
    return AtTheWriter(request)  # in a coroutine: what is none costs the hop to a thread


WriterDep = Annotated[AtTheWriter, Depends(_at_the_writer)]
"""The way to the ledgers' writer, in place of a session."""


async def _civic_turn(request: Request) -> AsyncIterator[None]:
    turnstile: Turnstile = request.app.state.turnstile
    async with take_turn(request, turnstile, LedgerName.CIVIC):
        yield


CivicTurn = Annotated[None, Depends(_civic_turn, scope="function")]
"""One's turn at the civic ledger. Declared before the session, which thus is opened after it began and committed before
it ends: whoever waits for the ledger holds no connection.
"""


async def require_key(
    key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern="^[!-~]+$",
            description="Required here. Repeat the request with the same key to get the first answer again.",
        ),
    ],
) -> None:
    """A dependency of routes that nobody may call twice unawares."""
