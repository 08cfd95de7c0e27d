"""Routes whose POSTs honour `Idempotency-Key`, and which are run again after a deadlock."""

import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute, APIRouter
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from chassis.core import idempotency
from chassis.core.db import is_retryable
from chassis.core.errors import DomainError, FieldError, Invalid
from chassis.core.idempotency import Answer, RequestKey
from chassis.web.auth import optional_actor, runtime_of
from chassis.web.problems import domain_problem

_TRIES = 3
HIT_HEADER = "Idempotency-Hit"


class _Replay(Exception):
    """The request was answered before."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A database session for the request, committed before the answer goes out.

    With an `Idempotency-Key`, the key is claimed first, in the same transaction.
    """
    runtime = runtime_of(request)
    earlier: AsyncSession | None = getattr(request.state, "session", None)
    if earlier is not None:  # the route is being run again; whoever opened the session commits it
        await _claim_key(request, earlier)
        yield earlier
        return
    async with runtime.db.sessions() as session:
        request.state.session = session
        await _claim_key(request, session)
        yield session
        await runtime.db.commit(session)


class IdempotentRoute(APIRoute):
    """Keeps the answer to a POST with its transaction; answers a repeated key with it; retries deadlocks."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        run = super().get_route_handler()

        async def handle(request: Request) -> Response:
            for attempt in range(1, _TRIES + 1):
                try:
                    response = await run(request)
                    await _remember(
                        request, Answer(response.status_code, _content_type(response), bytes(response.body))
                    )
                except _Replay as replay:
                    return _replayed(replay.answer)
                except DomainError as error:
                    await _remember_refusal(request, error)
                    raise
                except DBAPIError as error:
                    if attempt == _TRIES or not is_retryable(error):
                        raise
                    await request.state.session.rollback()
                else:
                    return response
            raise AssertionError("unreachable")

        return handle


class Router(APIRouter):
    """The router of a domain."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=IdempotentRoute, **options)


async def _claim_key(request: Request, session: AsyncSession) -> None:
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or key is None:
        return
    if not (1 <= len(key) <= 255 and key.isprintable()):
        raise Invalid(fields=[FieldError("header.Idempotency-Key", "must be 1 to 255 printable characters")])
    actor = await optional_actor(request)
    content_type = request.headers.get("Content-Type", "").partition(";")[0]
    body = await _digest(request, content_type)
    claim = RequestKey(
        caller=str(actor.id) if actor else "anonymous",
        operation=f"POST {request.url.path}"[:200],
        key=key,
        body_hash=body,
    )
    kept = await idempotency.begin(session, claim)
    if kept is not None:
        opened = runtime_of(request).vault.open(kept.body, _context(claim)).encode()
        raise _Replay(Answer(kept.status, kept.content_type, opened))
    request.state.request_key = claim


async def _digest(request: Request, content_type: str) -> bytes:
    digest = hashlib.sha256(f"{content_type}\n{request.url.query}\n".encode())
    if content_type == "multipart/form-data":  # its boundary differs from one sending to the next
        for name, value in (await request.form()).multi_items():
            digest.update(name.encode())
            if isinstance(value, str):
                digest.update(value.encode())
            else:
                while chunk := await value.read(1 << 16):
                    digest.update(chunk)
                await value.seek(0)
    else:
        digest.update(await request.body())
    return digest.digest()


async def _remember(request: Request, answer: Answer) -> None:
    claim: RequestKey | None = getattr(request.state, "request_key", None)
    if claim is not None:
        sealed = runtime_of(request).vault.seal(answer.body.decode(), _context(claim))
        await idempotency.remember(request.state.session, claim, Answer(answer.status, answer.content_type, sealed))


async def _remember_refusal(request: Request, error: DomainError) -> None:
    claim: RequestKey | None = getattr(request.state, "request_key", None)
    if claim is None or not error.repeats:
        return
    session: AsyncSession = request.state.session
    await session.rollback()
    if await idempotency.begin(session, claim) is None:
        response = domain_problem(error)
        await _remember(request, Answer(error.status, _content_type(response), bytes(response.body)))
        await runtime_of(request).db.commit(session)


def _replayed(answer: Answer) -> Response:
    headers = {HIT_HEADER: "true"}
    return Response(answer.body, answer.status, headers, media_type=answer.content_type)


def _content_type(response: Response) -> str:
    return response.headers.get("content-type", "application/json")


def _context(claim: RequestKey) -> str:
    return f"request.answer:{claim.caller}:{claim.operation}:{claim.key}"
