"""What routes ask for by type."""

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.crypto import Vault
from chassis.core.paging import Cursors
from chassis.core.runtime import Runtime
from chassis.core.turnstile import Turnstile
from chassis.web.auth import runtime_of
from chassis.web.router import open_session

SessionDep = Annotated[AsyncSession, Depends(open_session, scope="function")]
"""A transaction, committed before the answer goes out; rolled back on any error."""


# FastAPI runs a dependency that is not a coroutine in a thread, which costs more than most of them do.


async def _runtime(request: Request) -> Runtime:
    return runtime_of(request)


async def _vault(request: Request) -> Vault:
    return runtime_of(request).vault


async def _cursors(request: Request) -> Cursors:
    return runtime_of(request).cursors


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
VaultDep = Annotated[Vault, Depends(_vault)]
CursorsDep = Annotated[Cursors, Depends(_cursors)]


@asynccontextmanager
async def take_turn(request: Request, turnstile: Turnstile, key: Hashable) -> AsyncIterator[None]:
    """A request's turn at something, for a dependency of scope "function" that is declared before the session: then
    nobody who waits holds a connection, and the transaction is committed before the next one's turn.

    A route that is run again after a deadlock still has the turn of its first run; it does not wait for itself.
    Raises Unavailable.
    """
    if not hasattr(request.state, "turns"):
        request.state.turns = set()
    turns: set[tuple[Turnstile, Hashable]] = request.state.turns
    if (turnstile, key) in turns:
        yield
        return
    async with turnstile.turn(key):
        turns.add((turnstile, key))
        yield
