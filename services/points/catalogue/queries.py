"""Rewards as administrators see them, what was done to them, and the rolls."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.catalogue.schemas import CatalogueFilters, ChangeOut, Paging, RewardRecord, Roll, RollEntryOut
from services.points.merchants.tables import Merchant
from services.points.merchants.terms import MerchantState
from services.points.rewards import listing
from services.points.rewards.errors import RewardNotFound
from services.points.rewards.queries import shown
from services.points.rewards.tables import Reward, RewardChange, RewardPicture, RollEntry
from services.points.rewards.terms import ChangeKind, RewardState


async def list_records(session: AsyncSession, cursors: Cursors, filters: CatalogueFilters) -> Page[RewardRecord]:
    """A page of all rewards by the filters, the last written first. Raises InvalidCursor."""
    carried = {"list": "catalogue"} | filters.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    statement = select(Reward)
    if filters.state is not None:
        statement = statement.where(_is(filters.state, clock.now()))
    if filters.q is not None:
        statement = statement.where(listing.contains(filters.q))
    if after := cursors.decode(filters.cursor, carried):
        statement = statement.where(Reward.id < UUID(str(after[0])))
    rewards = (await session.scalars(statement.order_by(Reward.id.desc()).limit(filters.limit + 1))).all()
    found, more = rewards[: filters.limit], len(rewards) > filters.limit
    return Page(
        items=await shown(session, found, RewardRecord),
        next_cursor=cursors.encode(carried, [str(found[-1].id)]) if more else None,
    )


async def record(session: AsyncSession, reward_id: UUID) -> RewardRecord:
    """A reward in whatever state. Raises RewardNotFound."""
    reward = await session.get(Reward, reward_id)
    if reward is None:
        raise RewardNotFound
    [found] = await shown(session, [reward], RewardRecord)
    return found


async def list_changes(session: AsyncSession, cursors: Cursors, reward_id: UUID, paging: Paging) -> Page[ChangeOut]:
    """What was done to a reward, the last first. Raises RewardNotFound, InvalidCursor."""
    if await session.get(Reward, reward_id) is None:
        raise RewardNotFound
    carried = {"list": "reward_changes", "reward": str(reward_id)}
    statement = select(RewardChange).where(RewardChange.reward_id == reward_id)
    if after := cursors.decode(paging.cursor, carried):
        statement = statement.where(RewardChange.number < int(after[0]))
    changes = (await session.scalars(statement.order_by(RewardChange.number.desc()).limit(paging.limit + 1))).all()
    found, more = changes[: paging.limit], len(changes) > paging.limit
    return Page(
        items=[ChangeOut.of(change) for change in found],
        next_cursor=cursors.encode(carried, [found[-1].number]) if more else None,
    )


async def list_roll(session: AsyncSession, cursors: Cursors, roll: Roll, paging: Paging) -> Page[RollEntryOut]:
    """Who stands on a roll, in the order of their ids. Raises InvalidCursor."""
    carried = {"list": "roll", "roll": str(roll)}
    statement = select(RollEntry).where(RollEntry.audience == roll)
    if after := cursors.decode(paging.cursor, carried):
        statement = statement.where(RollEntry.person_id > UUID(str(after[0])))
    entries = (await session.scalars(statement.order_by(RollEntry.person_id).limit(paging.limit + 1))).all()
    found, more = entries[: paging.limit], len(entries) > paging.limit
    return Page(
        items=[RollEntryOut.of(entry) for entry in found],
        next_cursor=cursors.encode(carried, [str(found[-1].person_id)]) if more else None,
    )


async def writers_of(session: AsyncSession, reward_id: UUID) -> set[UUID]:
    """Who wrote any of a reward: none of them approves it."""
    wrote = RewardChange.kind.in_([ChangeKind.DRAFTED, ChangeKind.EDITED])
    statement = select(RewardChange.by_id).where(RewardChange.reward_id == reward_id, wrote)
    return set(await session.scalars(statement))


async def active_merchants(session: AsyncSession, merchant_ids: Collection[UUID]) -> set[UUID]:
    """Those of them that take coupons."""
    statement = select(Merchant.id).where(Merchant.id.in_(merchant_ids), Merchant.state == MerchantState.ACTIVE)
    return set(await session.scalars(statement))


async def picture_numbers(session: AsyncSession, reward_id: UUID) -> Sequence[int]:
    """The numbers of a reward's pictures."""
    numbers = select(RewardPicture.number).where(RewardPicture.reward_id == reward_id)
    return (await session.scalars(numbers.order_by(RewardPicture.number))).all()


async def own_picture(session: AsyncSession, reward_id: UUID, picture_id: UUID) -> RewardPicture | None:
    """A picture of this reward."""
    statement = select(RewardPicture).where(RewardPicture.id == picture_id, RewardPicture.reward_id == reward_id)
    found: RewardPicture | None = await session.scalar(statement)
    return found


def _is(state: RewardState, at: datetime) -> ColumnElement[bool]:
    """The condition that is `rewards.rules.state_at`."""
    past = and_(Reward.state == RewardState.LISTED, Reward.ends_at <= at)
    match state:
        case RewardState.LISTED:
            return and_(Reward.state == RewardState.LISTED, Reward.ends_at > at)
        case RewardState.ENDED:
            return or_(Reward.state == RewardState.ENDED, past)
        case _:
            return Reward.state == state
