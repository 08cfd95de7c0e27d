"""What this service's routes ask for by type, besides the chassis's own."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Header, Request

from chassis.core.turnstile import Turnstile
from chassis.web.deps import take_turn
from services.points.terms import LedgerName


async def _civic_turn(request: Request) -> AsyncIterator[None]:
    turnstile: Turnstile = request.app.state.turnstile
    async with take_turn(request, turnstile, LedgerName.CIVIC):
        yield


CivicTurn = Annotated[None, Depends(_civic_turn, scope="function")]
"""One's turn at the civic ledger. Declared before the session, which thus is opened after it began and committed before
it ends: whoever waits for the ledger holds no connection.
"""


def require_key(
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
