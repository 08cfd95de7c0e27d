"""What the merchants' door decides. Pure."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.core.crypto import Vault
from chassis.core.errors import DomainError
from services.points import tokens
from services.points.merchants.errors import (
    MerchantSuspended,
    NotOwnStore,
    PrepareTokenInvalid,
    SignError,
    TimestampExpired,
    UseTimeAhead,
)
from services.points.merchants.tables import MerchantKey
from services.points.merchants.terms import Algorithm, Caller

CLOCK_WINDOW_SECONDS = 300
NONCE_KEPT = timedelta(seconds=660)
"""More than the 600 s between the moment that a timestamp may first be used and the last."""
TOKEN_GOOD_FOR = timedelta(seconds=120)


def check_timestamp(timestamp: int, at: datetime) -> None:
    """Raises TimestampExpired where the two are more than 300 s apart, either way."""
    if abs(timestamp - at.timestamp()) > CLOCK_WINDOW_SECONDS:
        raise TimestampExpired


def check_key(key: MerchantKey | None, algorithm: Algorithm, at: datetime) -> MerchantKey:
    """The key itself, if it is on record, good at this moment and of the algorithm that was named. Raises SignError."""
    if key is None or not is_live(key, at) or key.algorithm is not algorithm:
        raise SignError
    return key


def is_live(key: MerchantKey, at: datetime) -> bool:
    """Whether the key is good at this moment."""
    return key.not_before <= at < key.not_after and not is_over(key, at)


def is_over(key: MerchantKey, at: datetime) -> bool:
    """Whether the key will never be good again: revoked, or past its time."""
    return at >= key.not_after or (key.revoked_at is not None and at >= key.revoked_at)


def reason_against(caller: Caller, *, at_own_store: bool) -> DomainError | None:
    """Why a merchant may do nothing to coupons there: MerchantSuspended, NotOwnStore."""
    if caller.suspended:
        return MerchantSuspended()
    return None if at_own_store else NotOwnStore()


def check_use_time(use_time: datetime, at: datetime) -> None:
    """A till's clock may be off as far as a timestamp may, not more. Raises UseTimeAhead."""
    if use_time > at + timedelta(seconds=CLOCK_WINDOW_SECONDS):
        raise UseTimeAhead


def parameters_hash(**parameters: Any) -> bytes:
    """What a number is bound to: the same for the same moments and words, however they were written."""
    written = {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in parameters.items()
    }
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).digest()


def token_key(vault: Vault) -> bytes:
    """What prepare tokens are made with."""
    return vault.derive("merchants.prepare_token")


def token_expiry(at: datetime, coupon_expires_at: datetime) -> datetime:
    """Until when a token made at `at` is good: in whole seconds, never less than it should be."""
    return min(in_whole_seconds(at + TOKEN_GOOD_FOR), coupon_expires_at)


def in_whole_seconds(moment: datetime) -> datetime:
    """The moment itself, or the next full second."""
    return (moment + timedelta(microseconds=999_999)).replace(microsecond=0)


def prepare_token(key: bytes, caller: Caller, store_id: str, coupon_id: str, expires_at: datetime) -> str:
    """A token that stands for a coupon's code at this merchant and store until it expires. Nothing is kept of it."""
    return tokens.make(key, _holder(caller, store_id), coupon_id, expires_at)


def read_prepare_token(key: bytes, caller: Caller, store_id: str, token: str) -> tuple[str, datetime]:
    """The coupon's id, and when the token expires (which it may have). Raises PrepareTokenInvalid."""
    if (found := tokens.read(key, _holder(caller, store_id), token)) is None:
        raise PrepareTokenInvalid
    return found


def _holder(caller: Caller, store_id: str) -> tuple[str, ...]:
    return str(caller.merchant_id), "sandbox" if caller.sandbox else "live", store_id
