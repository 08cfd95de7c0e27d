"""Rewards as administrators write and see them."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field

from chassis.core.schema import In, Out, Text
from services.points.rewards.schemas import MerchantRef, PictureRef, RewardOut
from services.points.rewards.tables import Reward, RewardChange, RewardMerchant, RollEntry
from services.points.rewards.terms import Audience, ChangeKind, LimitPeriod, RewardKind, RewardState
from services.points.statements.schemas import Moment

MOST_FEN = 10**9
MOST = 10**7

Title = Annotated[str, Text(100)]
Description = Annotated[str, Text(2000)]
Reason = Annotated[str, Text(500)]
Roll = Literal[Audience.PARTY_MEMBERS, Audience.COURIERS]
PositiveNumber = Annotated[int, Field(ge=1, le=MOST)]
Version = Annotated[int, Field(ge=0, le=2**53)]


class MerchantIn(In):
    """A merchant that honours it; in these of its stores, or, where none is named, in all of them."""

    id: UUID
    stores: list[Annotated[str, Text(64)]] = Field(default=[], max_length=200)


class RewardDraft(In):
    """A reward as it is to be offered: `cost` in points; `face_fen` what it is worth, `payable_fen` what a merchant is
    paid for it; `stock` pieces in all, of which `daily_stock` a day; `household_limit` for each household within
    `limit_period`.
    """

    title: Title
    description: Description
    kind: RewardKind
    cost: PositiveNumber
    face_fen: int = Field(ge=0, le=MOST_FEN)
    payable_fen: int = Field(ge=0, le=MOST_FEN)
    stock: PositiveNumber
    daily_stock: PositiveNumber | None = None
    household_limit: PositiveNumber | None = None
    limit_period: LimitPeriod = LimitPeriod.EVER
    audience: Audience = Audience.EVERYONE
    refund_on_expiry: bool
    valid_days: int = Field(ge=1, le=3650)
    starts_at: Moment
    ends_at: Moment
    merchants: list[MerchantIn] = Field(default=[], max_length=200)

    @classmethod
    def fields_of(cls, reward: Reward, merchants: list[RewardMerchant]) -> dict[str, Any]:
        """What a draft would say to make this reward, as JSON."""
        named = [{"id": row.merchant_id, "stores": row.store_ids} for row in merchants]
        own = {name: getattr(reward, name) for name in cls.model_fields if name != "merchants"}
        return cls.model_construct(**own, merchants=[MerchantIn(**each) for each in named]).model_dump(mode="json")


class RewardEdit(RewardDraft):
    """What a draft is to be instead; `version` is the one that it replaces."""

    version: Version


class Seen(In):
    """The version that was read."""

    version: Version


class Revision(In):
    """What of a listed reward is to be otherwise; what is not named stays. No `daily_stock` (null) is any number."""

    title: Title | None = None
    description: Description | None = None
    ends_at: Moment | None = None
    daily_stock: PositiveNumber | None = None


class Restocking(In):
    """How many pieces more there are, or (below zero) fewer."""

    add: int = Field(ge=-MOST, le=MOST)


class Ending(In):
    """Why nobody shall redeem it any more."""

    reason: Reason


class CatalogueFilters(In):
    """Which rewards: in a state, with these words in title or description."""

    state: RewardState | None = None
    q: Annotated[str, Text(50)] | None = None
    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class Paging(In):
    """Which page."""

    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class RewardRecord(RewardOut):
    """A reward with what is not public: what merchants are paid, who wrote and approved it, which `version` it is."""

    payable_fen: int
    version: int
    drafted_by: UUID | None
    approved_by: UUID | None
    listed_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, reward: Reward, merchants: list[MerchantRef], pictures: list[PictureRef], at: datetime) -> Self:
        """The reward as administrators and auditors see it."""
        return cls(
            **dict(RewardOut.of(reward, merchants, pictures, at)),
            payable_fen=reward.payable_fen,
            version=reward.version,
            drafted_by=reward.drafted_by,
            approved_by=reward.approved_by,
            listed_at=reward.listed_at,
            ended_at=reward.ended_at,
        )


class ChangeOut(Out):
    """What somebody did to a reward: which `fields` became what ([before, after])."""

    number: int
    kind: ChangeKind
    by_id: UUID
    at: datetime
    fields: dict[str, Any]
    reason: str | None

    @classmethod
    def of(cls, change: RewardChange) -> Self:
        """The change as it is shown."""
        return cls(
            number=change.number,
            kind=change.kind,
            by_id=change.by_id,
            at=change.at,
            fields=change.fields,
            reason=change.reason,
        )


class RollEntryOut(Out):
    """A person on a roll, and who entered them when."""

    person_id: UUID
    entered_by: UUID
    entered_at: datetime

    @classmethod
    def of(cls, entry: RollEntry) -> Self:
        """The entry as it is shown."""
        return cls(person_id=entry.person_id, entered_by=entry.entered_by, entered_at=entry.entered_at)
