"""Routes whose POSTs honour `Idempotency-Key`, and which are run again after a deadlock."""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute, APIRouter
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import UploadFile
from starlette.responses import Response

from chassis.core import idempotency
from chassis.core.db import is_retryable
from chassis.core.errors import DomainError, FieldError, Invalid
from chassis.core.idempotency import Reply, RequestKey
from chassis.web.auth import optional_actor, runtime_of
from chassis.web.problems import constraint_refusal, domain_problem

_TRIES = 3
_SAFE = {"GET", "HEAD"}
_KEY = re.compile("[!-~]{1,255}")
HIT_HEADER = "Idempotency-Hit"
# Where in a request's scope what is known of it stands.
_SESSION, _CLAIM, _MAY_CARRY_KEY = "beiyuan.session", "beiyuan.claim", "beiyuan.may_carry_key"
KEPT_HEADERS = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-language",
        "content-location",
        "etag",
        "last-modified",
        "link",
        "location",
        "referrer-policy",
        "retry-after",
        "vary",
    }
)
"""What a repeated answer says again besides its body. Cookies are not among them: those are for who asks just now."""


class _Replay(Exception):
    """The request was answered before."""

    def __init__(self, response: Response) -> None:
        self.response = response


async def open_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A database session for the request, committed before the answer goes out.

    With an `Idempotency-Key`, the key is claimed first, in the same transaction.
    """
    runtime = runtime_of(request)
    earlier = _session(request)
    if earlier is not None:  # the route is being run again; whoever opened the session commits it
        await _claim_key(request, earlier)
        yield earlier
        return
    async with runtime.db.sessions() as session:
        request.scope[_SESSION] = session
        await _claim_key(request, session)
        yield session
        await runtime.db.commit(session, repeatable=request.method in _SAFE)


class IdempotentRoute(APIRoute):
    """Keeps the answer to a POST with its transaction; answers a repeated key with it; retries deadlocks."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        run = super().get_route_handler()

        async def handle(request: Request) -> Response:
            request.scope[_MAY_CARRY_KEY] = request.method == "POST"
            for attempt in range(1, _TRIES + 1):
                try:
                    return await _answer(request, run)
                except _Replay as replay:
                    return replay.response
                except DBAPIError as error:
                    if attempt == _TRIES or not is_retryable(error):
                        raise
                    await _rewind(request)
            raise AssertionError("unreachable")

        return handle


class Router(APIRouter):
    """The router of a domain."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=IdempotentRoute, generate_unique_id_function=lambda route: route.name, **options)


async def _answer(request: Request, run: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    """Run the route once. What it answers, or refuses for good, is remembered under its key."""
    try:
        response = await run(request)
        session = _session(request)
        if session is not None:
            await session.flush()  # here what the database objects to can still be retried, or remembered
            await _remember(request, session, response)
        return response
    except DomainError as error:
        await _conclude_refusal(request, error)
        raise
    except DBAPIError as error:
        refusal = constraint_refusal(request, error)
        if refusal is None:
            raise
        await _conclude_refusal(request, refusal)
        raise refusal from error


async def _conclude_refusal(request: Request, error: DomainError) -> None:
    """Commit what the refusal keeps: what the request wrote (`keeps_changes`), and the answer if it would repeat.

    Raises _Replay where the same request was answered meanwhile, since the first answer is the one that counts.
    """
    session, claim = _session(request), _claim(request)
    if session is None or not (error.keeps_changes or (claim and error.repeats)):
        return
    if not error.keeps_changes:
        await session.rollback()
        if claim:
            await _begin(request, session, claim)
    if claim and error.repeats:
        await _remember(request, session, domain_problem(error))
    elif claim:
        await idempotency.forget(session, claim)
    await runtime_of(request).db.commit(session)


async def _rewind(request: Request) -> None:
    """Undo what the attempt did, so that the next one finds everything as it was."""
    session = _session(request)
    if session is not None:
        await session.rollback()
    for _, value in (await request.form()).multi_items():
        if isinstance(value, UploadFile):
            await value.seek(0)


def _session(request: Request) -> AsyncSession | None:
    return request.scope.get(_SESSION)


def _claim(request: Request) -> RequestKey | None:
    return request.scope.get(_CLAIM)


async def request_key(request: Request) -> RequestKey | None:
    """Under which key the request is made; None where it bears none, or is not one that may.

    For a route without a session of its own, whose work and answer are written elsewhere: that is then who looks the
    key up and keeps the answer (`idempotency.answered`, `keep`). Raises Invalid.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None or not request.scope.get(_MAY_CARRY_KEY):
        return None
    if not _KEY.fullmatch(key):
        raise Invalid(fields=[FieldError("header.Idempotency-Key", "must be 1 to 255 printable ASCII characters")])
    actor = await optional_actor(request)
    vault = runtime_of(request).vault
    return RequestKey(
        # Whoever is not signed in is not told apart by their network either: between two tries a phone goes from one to
        # another, and that is when answers are lost. What they have in common is a key that nobody can guess, and the
        # same body to the letter.
        caller=str(actor.id) if actor else "anonymous",
        # Keyed hashes: a path may hold a private link, and a body as short as a phone number could be guessed.
        operation=vault.fingerprint(request.scope["path"], "request.operation").hex(),
        key=key,
        body_hash=vault.fingerprint((await _digest(request)).hex(), "request.body"),
    )


def reply_of(response: Response) -> Reply:
    """What of an answer is given again to a repeated request."""
    kept = tuple((name, value) for name, value in response.headers.items() if name in KEPT_HEADERS)
    content_type = response.headers.get("content-type", "application/json")
    return Reply(response.status_code, content_type, bytes(response.body), kept)


def response_of(reply: Reply, *, repeated: bool) -> Response:
    """The answer to send; `repeated` where it was given before."""
    headers = {HIT_HEADER: "true"} if repeated else None
    response = Response(reply.body, reply.status, headers, media_type=reply.content_type)
    for name, value in reply.headers:
        response.headers.append(name, value)
    return response


async def _claim_key(request: Request, session: AsyncSession) -> None:
    claim = await request_key(request)
    if claim is not None:
        await _begin(request, session, claim)
        request.scope[_CLAIM] = claim


async def _begin(request: Request, session: AsyncSession, claim: RequestKey) -> None:
    kept = await idempotency.begin(session, claim)
    if kept is not None:
        raise _Replay(response_of(Reply.opened(runtime_of(request).vault, claim, kept), repeated=True))


async def _digest(request: Request) -> bytes:
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    digest = hashlib.sha256(b"%b\n%b\n" % (content_type.encode(), request.scope["query_string"]))
    if content_type != "multipart/form-data":
        digest.update(await request.body())
        return digest.digest()
    for name, value in (await request.form()).multi_items():  # the boundary differs from one sending to the next
        part = hashlib.sha256()
        if isinstance(value, str):
            part.update(value.encode())
        else:
            while chunk := await value.read(1 << 16):
                part.update(chunk)
            await value.seek(0)
        digest.update(hashlib.sha256(name.encode()).digest() + part.digest())
    return digest.digest()


async def _remember(request: Request, session: AsyncSession, response: Response) -> None:
    claim = _claim(request)
    if claim is not None:
        answer = reply_of(response).sealed(runtime_of(request).vault, claim)
        await idempotency.remember(session, claim, answer)
