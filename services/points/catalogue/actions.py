"""What administrators do to rewards. Each locks the reward, says so in its history, and counts its version up."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.errors import FieldError
from chassis.core.ids import new_id
from chassis.core.pictures import Picture
from services.points.awards.errors import SecondPersonNeeded
from services.points.catalogue import queries
from services.points.catalogue.rules import PICTURES_MAX, check_state, faults
from services.points.catalogue.schemas import Revision, RewardDraft, RewardEdit, Roll
from services.points.merchants.queries import stores_among
from services.points.rewards.actions import set_merchants
from services.points.rewards.errors import (
    RewardChanged,
    RewardFaulty,
    RewardPictureNotFound,
    TooManyPictures,
)
from services.points.rewards.queries import lock_reward, merchants_of
from services.points.rewards.tables import Reward, RewardChange, RewardPicture, RollEntry
from services.points.rewards.terms import ChangeKind, RewardState

_OPEN = (RewardState.DRAFT, RewardState.APPROVED)


async def draft_reward(session: AsyncSession, actor: Actor, draft: RewardDraft) -> Reward:
    """Write a reward for another administrator to approve. Nobody else sees it before it is listed. Raises
    RewardFaulty.
    """
    await _check(session, draft)
    reward = Reward(id=new_id(), state=RewardState.DRAFT, version=0, taken=0, drafted_by=actor.id)
    _fill(reward, draft)
    session.add(reward)
    await session.flush()
    await set_merchants(session, reward.id, {merchant.id: merchant.stores for merchant in draft.merchants})
    await _note(session, reward, actor, ChangeKind.DRAFTED, {})
    return reward


async def edit_reward(session: AsyncSession, actor: Actor, reward_id: UUID, edit: RewardEdit) -> Reward:
    """Write a draft anew. One that was approved must be approved again.

    Raises RewardNotFound, RewardStateWrong, RewardChanged, RewardFaulty.
    """
    reward = await lock_reward(session, reward_id)
    check_state(reward, clock.now(), *_OPEN)
    _check_version(reward, edit.version)
    await _check(session, edit)
    before = RewardDraft.fields_of(reward, (await merchants_of(session, [reward_id]))[reward_id])
    _fill(reward, edit)
    await set_merchants(session, reward_id, {merchant.id: merchant.stores for merchant in edit.merchants})
    after = RewardDraft.fields_of(reward, (await merchants_of(session, [reward_id]))[reward_id])
    await _edited(session, reward, actor, {name: [before[name], after[name]] for name in after})
    return reward


async def approve_reward(session: AsyncSession, actor: Actor, reward_id: UUID, version: int) -> Reward:
    """Agree to a draft as it is in this version; whoever wrote any of it cannot.

    Raises RewardNotFound, RewardStateWrong, RewardChanged, SecondPersonNeeded, RewardFaulty.
    """
    reward = await lock_reward(session, reward_id)
    check_state(reward, clock.now(), RewardState.DRAFT)
    _check_version(reward, version)
    if actor.id in await queries.writers_of(session, reward_id):
        raise SecondPersonNeeded
    await _check_again(session, reward)
    reward.state, reward.approved_by = RewardState.APPROVED, actor.id
    await _note(session, reward, actor, ChangeKind.APPROVED, {})
    return reward


async def list_reward(session: AsyncSession, actor: Actor, reward_id: UUID) -> Reward:
    """Offer what was approved: from `starts_at`, or from now where that is past.

    Raises RewardNotFound, RewardStateWrong, RewardFaulty where it could not be approved any more.
    """
    reward = await lock_reward(session, reward_id)
    check_state(reward, clock.now(), RewardState.APPROVED)
    await _check_again(session, reward)
    reward.state, reward.listed_at = RewardState.LISTED, clock.now()
    await _note(session, reward, actor, ChangeKind.LISTED, {})
    return reward


async def end_reward(session: AsyncSession, actor: Actor, reward_id: UUID, reason: str) -> Reward:
    """Nobody redeems it from now on; a draft is laid aside. Coupons that were issued stay good.

    Raises RewardNotFound, RewardStateWrong.
    """
    reward = await lock_reward(session, reward_id)
    check_state(reward, clock.now(), *_OPEN, RewardState.LISTED)
    reward.state, reward.ended_at = RewardState.ENDED, clock.now()
    await _note(session, reward, actor, ChangeKind.ENDED, {}, reason)
    return reward


async def revise_reward(session: AsyncSession, actor: Actor, reward_id: UUID, revision: Revision) -> Reward:
    """Change of a listed reward what may be changed: its words, its end, how many there are a day. What it costs, is
    worth and promises stays as it was approved. Raises RewardNotFound, RewardStateWrong, RewardFaulty.
    """
    reward = await lock_reward(session, reward_id)
    at = clock.now()
    check_state(reward, at, RewardState.LISTED)
    wanted = revision.model_dump(exclude_unset=True)
    wrong = [
        FieldError(f"body.{name}", "cannot be null")
        for name, value in wanted.items()
        if value is None and name != "daily_stock"
    ]
    if revision.ends_at is not None and revision.ends_at <= max(at, reward.starts_at):
        wrong.append(FieldError("body.ends_at", "is past, or not after starts_at"))
    if wrong:
        raise RewardFaulty(fields=wrong)
    was = Revision.model_construct(**{name: getattr(reward, name) for name in wanted}).model_dump(mode="json")
    told = revision.model_dump(mode="json")
    for name, value in wanted.items():
        setattr(reward, name, value)
    if changes := _different({name: [was[name], told[name]] for name in wanted}):
        await _note(session, reward, actor, ChangeKind.REVISED, changes)
    return reward


async def restock_reward(session: AsyncSession, actor: Actor, reward_id: UUID, add: int) -> Reward:
    """There are so many pieces more of a listed reward, or fewer. Raises RewardNotFound, RewardStateWrong,
    RewardFaulty where fewer than none would be left.
    """
    reward = await lock_reward(session, reward_id)
    check_state(reward, clock.now(), RewardState.LISTED)
    if reward.stock + add < 0:
        raise RewardFaulty(fields=[FieldError("body.add", f"takes away more than the {reward.stock} that are left")])
    before, reward.stock = reward.stock, reward.stock + add
    if changes := _different({"stock": [before, reward.stock]}):
        await _note(session, reward, actor, ChangeKind.RESTOCKED, changes)
    return reward


async def add_picture(session: AsyncSession, actor: Actor, reward_id: UUID, picture: Picture) -> RewardPicture:
    """One picture more of a draft, the last. One that was approved must be approved again.

    Raises RewardNotFound, RewardStateWrong, TooManyPictures.
    """
    reward = await lock_reward(session, reward_id)
    check_state(reward, clock.now(), *_OPEN)
    numbers = await queries.picture_numbers(session, reward_id)
    if len(numbers) >= PICTURES_MAX:
        raise TooManyPictures
    row = RewardPicture(id=new_id(), reward_id=reward_id, number=max(numbers, default=0) + 1)
    row.width, row.height, row.full, row.thumbnail = picture.width, picture.height, picture.full, picture.thumbnail
    session.add(row)
    await _edited(session, reward, actor, {"picture": [None, str(row.id)]})
    return row


async def remove_picture(session: AsyncSession, actor: Actor, reward_id: UUID, picture_id: UUID) -> None:
    """A picture is gone for good, in whatever state the reward is. Raises RewardNotFound, RewardPictureNotFound."""
    reward = await lock_reward(session, reward_id)
    picture = await queries.own_picture(session, reward_id, picture_id)
    if picture is None:
        raise RewardPictureNotFound
    await session.delete(picture)
    gone = {"picture": [str(picture_id), None]}
    if reward.state in _OPEN:
        await _edited(session, reward, actor, gone)
    else:
        await _note(session, reward, actor, ChangeKind.REVISED, gone)


async def enter_on_roll(session: AsyncSession, actor: Actor, roll: Roll, person_id: UUID) -> None:
    """A person is a party member, or a courier, from now on; who was entered before stays so."""
    values = {"audience": roll, "person_id": person_id, "entered_by": actor.id, "entered_at": clock.now()}
    await session.execute(insert(RollEntry).values(values).on_conflict_do_nothing())


async def strike_off_roll(session: AsyncSession, roll: Roll, person_id: UUID) -> None:
    """A person is none of them any more; who was none stays so. Coupons that they have stay good."""
    await session.execute(delete(RollEntry).where(RollEntry.audience == roll, RollEntry.person_id == person_id))


async def strike_off_rolls(session: AsyncSession, person_id: UUID) -> None:
    """Somebody deleted their account: no roll says any more what they are."""
    await session.execute(delete(RollEntry).where(RollEntry.person_id == person_id))


def _fill(reward: Reward, draft: RewardDraft) -> None:
    for name, value in draft.model_dump(exclude={"merchants", "version"}).items():
        setattr(reward, name, value)


def _check_version(reward: Reward, version: int) -> None:
    if reward.version != version:
        raise RewardChanged


async def _check(session: AsyncSession, draft: RewardDraft) -> None:
    merchants = await queries.active_merchants(session, {merchant.id for merchant in draft.merchants})
    named = {(merchant.id, store_id) for merchant in draft.merchants for store_id in merchant.stores}
    if found := faults(draft, merchants, await stores_among(session, named), clock.now()):
        raise RewardFaulty(fields=found)


async def _check_again(session: AsyncSession, reward: Reward) -> None:
    """Time has passed since it was written, and merchants come and go."""
    merchants = (await merchants_of(session, [reward.id]))[reward.id]
    await _check(session, RewardDraft.model_validate(RewardDraft.fields_of(reward, merchants)))


async def _edited(session: AsyncSession, reward: Reward, actor: Actor, changes: dict[str, list[Any]]) -> None:
    """What was approved before is a draft again, where anything changed."""
    changes = _different(changes)
    if not changes:
        return
    reward.state, reward.approved_by = RewardState.DRAFT, None
    await _note(session, reward, actor, ChangeKind.EDITED, changes)


async def _note(
    session: AsyncSession,
    reward: Reward,
    actor: Actor,
    kind: ChangeKind,
    changes: dict[str, list[Any]],
    reason: str | None = None,
) -> None:
    reward.version += 1
    change = RewardChange(reward_id=reward.id, number=reward.version, kind=kind, by_id=actor.id, at=clock.now())
    change.fields, change.reason = changes, reason
    session.add(change)
    await session.flush()


def _different(changes: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: [before, after] for name, (before, after) in changes.items() if before != after}
