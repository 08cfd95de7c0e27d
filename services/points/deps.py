"""What this service's routes ask for by type, besides the chassis's own."""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Request
from pydantic import TypeAdapter
from starlette.responses import Response

from chassis.core.errors import DomainError
from chassis.core.idempotency import Reply
from chassis.web.problems import domain_problem
from chassis.web.router import reply_of, request_key, response_of
from services.points.ledger.batches import DeedOf
from services.points.ledger.writer import Writer

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

    async def submit(self, deed: DeedOf[Asked, Answered], asked: Asked) -> Answered:
        """Carry out one request that has an idempotency of its own. Raises as `Writer.submit`."""
        return await self._writer.submit(deed, asked)

    async def answer(
        self,
        deed: DeedOf[Asked, Answered],
        asked: Asked,
        render: Callable[[Answered], object],
        *,
        status: int | Callable[[Answered], int] = 200,
        size: int = 1,
    ) -> Response:
        """Carry out one request; `render` makes the body of its answer, a model or a dataclass, without I/O.

        `status` may depend on the answer. `size` says how many commands it is worth. Raises as `Writer.reply`.
        """

        def reply(answer: Answered | DomainError) -> Reply:
            if isinstance(answer, DomainError):
                return reply_of(domain_problem(answer))
            return _json(status(answer) if callable(status) else status, render(answer))

        key = await request_key(self._request)
        given, repeated = await self._writer.reply(deed, asked, reply, key=key, size=size)
        return response_of(given, repeated=repeated)


def _json(status: int, body: Any) -> Reply:
    adapter = _adapter(type(body))  # type: ignore[arg-type]  # classes can be hashed
    return Reply(status, "application/json", adapter.dump_json(body, by_alias=True))


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


async def _at_the_writer(request: Request) -> AtTheWriter:
    return AtTheWriter(request)  # in a coroutine: what is none costs the hop to a thread


WriterDep = Annotated[AtTheWriter, Depends(_at_the_writer)]
"""The way to the ledgers' writer, in place of a session."""


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
