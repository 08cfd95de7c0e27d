"""Decisions of signing in: limits, codes, and the refresh family."""

import base64
import binascii
import hmac
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from ipaddress import ip_address
from uuid import UUID

from chassis.core.addresses import network_of
from services.identity.signin.errors import RefreshInvalid, TooManyCodes, TooManyTries
from services.identity.signin.tables import AddressCount, RefreshFamily, SignInCode

HOUR = timedelta(hours=1)
KEEP_ENDED = timedelta(days=7)
"""How long a refresh family that has ended is kept for whoever asks why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a phone and an address may do what, for the caller at hand."""

    codes_per_phone: int
    tries_per_code: int
    codes_per_address: int
    wrong_tries_per_address: int

    def times(self, factor: int) -> "Limits":
        """More generous by this factor, except for the tries at one code."""
        return Limits(
            codes_per_phone=self.codes_per_phone * factor,
            tries_per_code=self.tries_per_code,
            codes_per_address=self.codes_per_address * factor,
            wrong_tries_per_address=self.wrong_tries_per_address * factor,
        )


def subject_of(address: str) -> str:
    """What is counted for a client address: itself, or the /64 of IPv6, which one subscriber has whole."""
    return network_of(address)


def is_loopback(address: str) -> bool:
    """Whether the caller sits on this machine."""
    try:
        return ip_address(subject_of(address)).is_loopback
    except ValueError:
        return False


def check_address_may_ask(count: AddressCount, limit: int, at: datetime) -> None:
    """Raises TooManyCodes if this address has asked for its share of codes this hour."""
    if count.uses >= limit:
        raise TooManyCodes(retry_after_seconds=_seconds(count.hour + HOUR - at))


def check_address_may_try(count: AddressCount, limit: int, at: datetime) -> None:
    """Raises TooManyTries if this address has offered too many wrong codes this hour."""
    if count.uses >= limit:
        raise TooManyTries(retry_after_seconds=_seconds(count.hour + HOUR - at))


def recent(sent_at: Sequence[datetime], at: datetime) -> list[datetime]:
    """Those of the last hour, oldest first."""
    return sorted(sent for sent in sent_at if sent > at - HOUR)


def wait_before_next(sent_at: Sequence[datetime], limit: int, at: datetime) -> int:
    """Seconds until the phone may be sent another code; 0 if at once."""
    sent = recent(sent_at, at)
    return 0 if len(sent) < limit else _seconds(sent[-limit] + HOUR - at)


def check_phone_may_receive(sent_at: Sequence[datetime], limit: int, at: datetime) -> None:
    """Raises TooManyCodes if the phone has been sent all the codes of an hour."""
    if wait := wait_before_next(sent_at, limit, at):
        raise TooManyCodes(retry_after_seconds=wait)


def is_alive(code: SignInCode, tries_per_code: int, at: datetime) -> bool:
    """Whether the code can still be right: not used, not expired, not killed by wrong tries."""
    return code.code_hash is not None and at < code.expires_at and code.wrong_tries < tries_per_code


def is_right(code: SignInCode, offered_hash: bytes, tries_per_code: int, at: datetime) -> bool:
    """Whether this is the code, and it is alive. Takes the same time however much of it is right."""
    same = hmac.compare_digest(code.code_hash or b"", offered_hash)
    return same and is_alive(code, tries_per_code, at)


# Refresh tokens. A token is the family's id, its generation, and a MAC over both: it need not be stored to be
# known again, and the successor of a token can be told twice without keeping it. The id is random and the key
# is not in the database, so neither a copy of the database nor the key alone makes a token.

_HEAD = struct.Struct(">16sI")


def refresh_token(key: bytes, family_id: UUID, generation: int) -> str:
    """The refresh token of this generation."""
    head = _HEAD.pack(family_id.bytes, generation)
    return base64.urlsafe_b64encode(head + hmac.digest(key, head, "sha256")).decode().rstrip("=")


def read_refresh_token(key: bytes, token: str) -> tuple[UUID, int]:
    """The family and generation that a token names. Raises RefreshInvalid unless made with this key."""
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        family, generation = _HEAD.unpack(raw[: _HEAD.size])
    except (ValueError, binascii.Error, struct.error):
        raise RefreshInvalid from None
    family_id = UUID(bytes=family)
    if not hmac.compare_digest(refresh_token(key, family_id, generation), token):
        raise RefreshInvalid
    return family_id, generation


class Refresh(Enum):
    """What becomes of a refresh token that is offered."""

    ROTATE = auto()  # it is the good one: the family moves on
    REPEAT = auto()  # it was just spent by the same phone: the same successor again
    END = auto()  # it was spent before: somebody has a copy, and the family ends


def refresh(family: RefreshFamily, generation: int, repeat_within: timedelta, at: datetime) -> Refresh:
    """Raises RefreshInvalid if the family is over, or never got as far as this generation."""
    if family.ended_at is not None or at >= family.expires_at or generation > family.generation:
        raise RefreshInvalid
    if generation == family.generation:
        return Refresh.ROTATE
    just_spent = generation == family.generation - 1 and at - family.rotated_at <= repeat_within
    return Refresh.REPEAT if just_spent else Refresh.END


def end(family: RefreshFamily, because: str, at: datetime) -> None:
    """No token of this family is good from now on. The first reason stays."""
    if family.ended_at is None:
        family.ended_at, family.ended_because = at, because


def _seconds(wait: timedelta) -> int:
    return max(1, math.ceil(wait.total_seconds()))
