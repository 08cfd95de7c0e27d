"""Bodies of the registry of merchants."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints

from chassis.core.schema import In, Out, Text
from services.points.merchants.fields import StoreId
from services.points.merchants.tables import Merchant, MerchantKey, Store
from services.points.merchants.terms import Algorithm, MerchantState
from services.points.registry import rules
from services.points.registry.tables import MerchantEvent
from services.points.registry.terms import KeyState, MerchantEventKind

Name = Annotated[str, Text(100)]
Base64 = Annotated[str, StringConstraints(strict=True, max_length=2000, pattern="^[A-Za-z0-9+/=]+$")]


class Paging(In):
    """Which page."""

    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class MerchantFilters(Paging):
    """Which merchants: of a state, and with these words in their name."""

    state: MerchantState | None = None
    q: Annotated[str, Text(50)] | None = None


class MerchantIn(In):
    """An organisation that becomes a merchant. Its managers hold the post `merchant` at it."""

    organisation_id: UUID
    name: Name


class NameIn(In):
    """What it is called from now on."""

    name: Name


class ReasonIn(In):
    """Why: it is kept."""

    reason: Annotated[str, Text(200)]


class StoreIn(In):
    """A store 门店. `id` is the merchant's own, as its tills send it."""

    id: StoreId
    name: Name


class KeyIn(In):
    """A public key (SubjectPublicKeyInfo as PEM), good from `not_before` (now) until `not_after` (two years on).

    `proof` shows that the private half is at hand: its signature, in base64, over `HHBY1-KEY`, the merchant's number,
    the key's serial number and `live` or `sandbox`, each followed by a newline. The serial number is the first forty
    hexadecimal digits, in capitals, of the SHA-256 of the key as DER.
    """

    algorithm: Algorithm
    public_key: Annotated[str, Text(2000)]
    sandbox: bool = False
    not_before: AwareDatetime | None = None
    not_after: AwareDatetime | None = None
    proof: Base64


class MerchantOut(Out):
    """A merchant. `mchid` 商户号 is what it signs as."""

    id: UUID
    mchid: str
    name: str
    state: MerchantState

    @classmethod
    def of(cls, merchant: Merchant) -> Self:
        """The merchant as it stands."""
        return cls(id=merchant.id, mchid=merchant.mchid, name=merchant.name, state=merchant.state)


class StoreOut(Out):
    """A store. At a closed one nothing is redeemed."""

    id: str
    name: str
    closed_at: datetime | None

    @classmethod
    def of(cls, store: Store) -> Self:
        """The store as it stands."""
        return cls(id=store.id, name=store.name, closed_at=store.closed_at)


class KeyOut(Out):
    """A key on record."""

    serial_no: str
    algorithm: Algorithm
    sandbox: bool
    state: KeyState
    public_key: str
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: MerchantKey, at: datetime) -> Self:
        """The key as it stands at a moment."""
        return cls(
            serial_no=key.serial_no,
            algorithm=key.algorithm,
            sandbox=key.sandbox,
            state=rules.key_state(key, at),
            public_key=key.public_key,
            not_before=key.not_before,
            not_after=key.not_after,
            revoked_at=key.revoked_at,
        )


class MerchantEventOut(Out):
    """A change: `subject` is the store, key or clerk that it was about."""

    id: UUID
    kind: MerchantEventKind
    at: datetime
    actor_id: UUID
    subject: str | None
    reason: str | None

    @classmethod
    def of(cls, event: MerchantEvent) -> Self:
        """The change as it was made."""
        return cls(
            id=event.id,
            kind=event.kind,
            at=event.at,
            actor_id=event.actor_id,
            subject=event.subject,
            reason=event.reason,
        )
