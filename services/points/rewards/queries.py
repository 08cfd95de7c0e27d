"""Reading and locking rewards."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, any_, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from chassis.core import clock
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.merchants.queries import merchant_names
from services.points.rewards import listing
from services.points.rewards.errors import RewardNotFound, RewardPictureNotFound
from services.points.rewards.schemas import MerchantRef, PictureRef, RewardFilters, RewardOut
from services.points.rewards.tables import Reward, RewardMerchant, RewardPicture, RollEntry
from services.points.rewards.terms import Audience

AnyRewardOut = TypeVar("AnyRewardOut", bound=RewardOut)


async def list_rewards(
    session: AsyncSession, cursors: Cursors, filters: RewardFilters, affordable_with: int | None
) -> Page[RewardOut]:
    """A page of what is listed, by the filters; of what costs no more than `affordable_with`. Raises InvalidCursor."""
    at = clock.now()
    statement = listing.on_offer(filters, at)
    if affordable_with is not None:
        statement = statement.where(Reward.cost <= affordable_with)
    carried = {"list": "rewards"} | filters.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    rewards, next_cursor = await listing.page(session, cursors, statement, filters, carried)
    return Page(items=await shown(session, rewards, RewardOut), next_cursor=next_cursor)


async def reward_detail(session: AsyncSession, reward_id: UUID) -> RewardOut:
    """A reward that was listed once, on offer or not. Raises RewardNotFound."""
    reward = await session.get(Reward, reward_id)
    if reward is None or reward.listed_at is None:
        raise RewardNotFound
    [found] = await shown(session, [reward], RewardOut)
    return found


async def lock_rewards(session: AsyncSession, reward_ids: Collection[UUID]) -> dict[UUID, Reward]:
    """Those of the rewards that there are, locked in the order of their ids until the transaction ends.

    Lock the ledger first.
    """
    statement = select(Reward).where(Reward.id.in_(reward_ids)).order_by(Reward.id).with_for_update()
    rewards = await session.scalars(statement.execution_options(populate_existing=True))
    return {reward.id: reward for reward in rewards}


async def lock_reward(session: AsyncSession, reward_id: UUID) -> Reward:
    """One reward, likewise. Raises RewardNotFound."""
    found = await lock_rewards(session, [reward_id])
    if reward_id not in found:
        raise RewardNotFound
    return found[reward_id]


async def honoured(
    session: AsyncSession, reward_ids: Collection[UUID], merchant_ids: Collection[UUID]
) -> dict[tuple[UUID, UUID], frozenset[str]]:
    """Which of the rewards' coupons which of the merchants take: (reward, merchant), and in which stores.

    No store at all means every store (`rules.takes`).
    """
    statement = select(RewardMerchant)
    statement = statement.where(RewardMerchant.reward_id.in_(reward_ids), RewardMerchant.merchant_id.in_(merchant_ids))
    return {(row.reward_id, row.merchant_id): frozenset(row.store_ids) for row in await session.scalars(statement)}


def honours(
    reward_id: InstrumentedAttribute[UUID], merchant_id: UUID, store_id: str | None = None
) -> ColumnElement[bool]:
    """The condition that a merchant takes a reward's coupons: in this store, or, if none is named, in any."""
    row = exists().where(RewardMerchant.reward_id == reward_id, RewardMerchant.merchant_id == merchant_id)
    if store_id is not None:
        stores = RewardMerchant.store_ids
        row = row.where(or_(func.cardinality(stores) == 0, literal(store_id) == any_(stores)))
    return row


async def rolls_of(session: AsyncSession, person_ids: Collection[UUID]) -> defaultdict[UUID, frozenset[Audience]]:
    """The rolls that each of these people stands on."""
    found: defaultdict[UUID, frozenset[Audience]] = defaultdict(frozenset)
    if person_ids:
        for entry in await session.scalars(select(RollEntry).where(RollEntry.person_id.in_(person_ids))):
            found[entry.person_id] |= {entry.audience}
    return found


async def picture(session: AsyncSession, reward_id: UUID, picture_id: UUID, *, thumbnail: bool) -> tuple[bytes, bool]:
    """A picture's JPEG, and whether it is public: its reward was listed. Raises RewardPictureNotFound."""
    content = RewardPicture.thumbnail if thumbnail else RewardPicture.full
    statement = select(content, Reward.listed_at.is_not(None)).join(Reward, Reward.id == RewardPicture.reward_id)
    row = (
        await session.execute(statement.where(RewardPicture.id == picture_id, RewardPicture.reward_id == reward_id))
    ).one_or_none()
    if row is None:
        raise RewardPictureNotFound
    return row[0], row[1]


async def merchants_of(session: AsyncSession, reward_ids: Collection[UUID]) -> defaultdict[UUID, list[RewardMerchant]]:
    """Who honours each of the rewards, in the order of their ids."""
    statement = select(RewardMerchant).where(RewardMerchant.reward_id.in_(reward_ids))
    found = defaultdict[UUID, list[RewardMerchant]](list)
    for row in await session.scalars(statement.order_by(RewardMerchant.merchant_id)):
        found[row.reward_id].append(row)
    return found


async def pictures_of(session: AsyncSession, reward_ids: Collection[UUID]) -> defaultdict[UUID, list[RewardPicture]]:
    """The pictures of each of the rewards, in their order, without their content."""
    statement = select(RewardPicture).where(RewardPicture.reward_id.in_(reward_ids))
    found = defaultdict[UUID, list[RewardPicture]](list)
    for row in await session.scalars(statement.order_by(RewardPicture.number)):
        found[row.reward_id].append(row)
    return found


async def shown(session: AsyncSession, rewards: Sequence[Reward], kind: type[AnyRewardOut]) -> list[AnyRewardOut]:
    """Rewards as they are shown: with their merchants and pictures."""
    ids, at = [reward.id for reward in rewards], clock.now()
    honouring, pictures = await merchants_of(session, ids), await pictures_of(session, ids)
    names = await merchant_names(session, {row.merchant_id for rows in honouring.values() for row in rows})
    return [
        kind.of(
            reward,
            [MerchantRef.of(row, names[row.merchant_id]) for row in honouring[reward.id] if row.merchant_id in names],
            [PictureRef.of(row) for row in pictures[reward.id]],
            at,
        )
        for reward in rewards
    ]
