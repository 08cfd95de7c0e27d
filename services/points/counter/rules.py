"""Invitations of clerks, and what stands for a coupon between looking and redeeming. Pure."""

import secrets
from datetime import datetime, timedelta

from services.points import tokens
from services.points.counter.errors import ClerkJoined, CounterTokenInvalid, InvitationWrong, TooManyInvitationTries
from services.points.counter.tables import Clerk, ClerkTry
from services.points.counter.terms import ClerkState, Place

CODE_DIGITS = 8
CODE_GOOD_FOR = timedelta(hours=24)
WRONG_AN_HOUR = 5
"""So many wrong codes may somebody type within a clock hour."""
HOUR = timedelta(hours=1)
CLERKS = 500
"""So many may be invited or active at a merchant's stores at a time."""
TOKEN_GOOD_FOR = timedelta(minutes=5)
"""Longer than the tills' 120 s: somebody reads the page, fetches the bread, and presses."""


def new_code() -> str:
    """An invitation's code: eight random digits."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def clerk_state(clerk: Clerk, at: datetime) -> ClerkState:
    """Where somebody stands who was invited."""
    if clerk.revoked_at is not None:
        return ClerkState.REVOKED
    if clerk.person_id is not None:
        return ClerkState.ACTIVE
    waits = clerk.code_expires_at is not None and at < clerk.code_expires_at
    return ClerkState.INVITED if waits else ClerkState.LAPSED


def check_may_be_invited(clerk: Clerk) -> None:
    """Whether somebody may be given another code. Raises ClerkJoined."""
    if clerk.person_id is not None or clerk.revoked_at is not None:
        raise ClerkJoined


def check_may_try(tries: ClerkTry, at: datetime) -> None:
    """Raises TooManyInvitationTries where this hour's wrong codes are used up, whatever the next one is worth."""
    if tries.wrong >= WRONG_AN_HOUR:
        seconds = (tries.hour + HOUR - at).total_seconds()
        raise TooManyInvitationTries(retry_after_seconds=max(1, int(seconds) + 1))


def check_invitation(clerk: Clerk | None, tries: ClerkTry, at: datetime) -> Clerk:
    """The invitation that a code belongs to. Raises InvitationWrong, having counted the try."""
    if clerk is None or clerk_state(clerk, at) is not ClerkState.INVITED:
        tries.wrong += 1
        raise InvitationWrong
    return clerk


def token_expiry(at: datetime) -> datetime:
    """Until when a token made at `at` is good: in whole seconds."""
    return (at + TOKEN_GOOD_FOR).replace(microsecond=0)


def counter_token(key: bytes, place: Place, coupon_id: str, at: datetime) -> str:
    """What stands for a coupon's code, for this person at this counter, for five minutes."""
    return tokens.make(key, _holder(place), coupon_id, token_expiry(at))


def read_counter_token(key: bytes, place: Place, token: str) -> tuple[str, datetime]:
    """The coupon's id, and when the token expires (which it may have). Raises CounterTokenInvalid."""
    if (found := tokens.read(key, _holder(place), token)) is None:
        raise CounterTokenInvalid
    return found


def _holder(place: Place) -> tuple[str, ...]:
    return str(place.person_id), str(place.merchant_id), place.store_id
