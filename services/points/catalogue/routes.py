"""HTTP of the catalogue, for administrators (and auditors, who read it)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import Depends, File, Query, UploadFile

from chassis.core.paging import InvalidCursor
from chassis.core.pictures import PhotoTooLarge, PhotoUnreadable, PhotoWrongType, Picture, reencode
from chassis.core.schema import Page
from chassis.web.deps import CursorsDep, SessionDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.awards.errors import SecondPersonNeeded
from services.points.catalogue import actions, queries
from services.points.catalogue.schemas import (
    CatalogueFilters,
    ChangeOut,
    Ending,
    Paging,
    Restocking,
    Revision,
    RewardDraft,
    RewardEdit,
    RewardRecord,
    Roll,
    RollEntryOut,
    Seen,
)
from services.points.permissions import MayAdminister, MayReadLedger
from services.points.rewards.errors import (
    RewardChanged,
    RewardFaulty,
    RewardNotFound,
    RewardPictureNotFound,
    RewardStateWrong,
    TooManyPictures,
)
from services.points.rewards.schemas import PictureRef

catalogue = Router(prefix="/api/points/catalogue", tags=["catalogue"])
rolls = Router(prefix="/api/points/rolls", tags=["catalogue"])

MAX_PIXELS = 50_000_000
_DECODER = ThreadPoolExecutor(1, thread_name_prefix="picture")
"""One picture at a time: each may take a hundred megabytes while it is decoded."""


async def _take_in(
    file: Annotated[UploadFile, File(description="JPEG, PNG or WebP, 4 MB at most.")], actor: MayAdminister
) -> Picture:
    """The picture without whatever was hidden in the file. No transaction is open while it is decoded."""
    content = await file.read()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_DECODER, partial(reencode, content, max_pixels=MAX_PIXELS))


@catalogue.get("", responses=problems(InvalidCursor))
async def list_catalogue(
    filters: Annotated[CatalogueFilters, Query()], actor: MayReadLedger, session: SessionDep, cursors: CursorsDep
) -> Page[RewardRecord]:
    """All rewards, drafts and those that have ended among them, the last written first."""
    return await queries.list_records(session, cursors, filters)


@catalogue.post("", status_code=201, responses=problems(RewardFaulty))
async def draft_reward(draft: RewardDraft, actor: MayAdminister, session: SessionDep) -> RewardRecord:
    """起草兑换项目: nobody else sees it before another administrator has approved it and it was listed."""
    reward = await actions.draft_reward(session, actor, draft)
    return await queries.record(session, reward.id)


@catalogue.get("/{reward_id}", responses=problems(RewardNotFound))
async def show_catalogue_reward(reward_id: UUID, actor: MayReadLedger, session: SessionDep) -> RewardRecord:
    """One reward with what is not public."""
    return await queries.record(session, reward_id)


@catalogue.put("/{reward_id}", responses=problems(RewardNotFound, RewardStateWrong, RewardChanged, RewardFaulty))
async def edit_reward(reward_id: UUID, edit: RewardEdit, actor: MayAdminister, session: SessionDep) -> RewardRecord:
    """修改草稿: write it anew, as long as it is not listed. What was approved must be approved again."""
    await actions.edit_reward(session, actor, reward_id, edit)
    return await queries.record(session, reward_id)


@catalogue.post(
    "/{reward_id}/approve",
    responses=problems(RewardNotFound, RewardStateWrong, RewardChanged, SecondPersonNeeded, RewardFaulty),
)
async def approve_reward(reward_id: UUID, seen: Seen, actor: MayAdminister, session: SessionDep) -> RewardRecord:
    """批准: by an administrator who wrote none of it, as it was in the version that they saw."""
    await actions.approve_reward(session, actor, reward_id, seen.version)
    return await queries.record(session, reward_id)


@catalogue.post("/{reward_id}/list", responses=problems(RewardNotFound, RewardStateWrong, RewardFaulty))
async def put_on_list(reward_id: UUID, actor: MayAdminister, session: SessionDep) -> RewardRecord:
    """上架: what was approved is public from now on, and can be redeemed from `starts_at`."""
    await actions.list_reward(session, actor, reward_id)
    return await queries.record(session, reward_id)


@catalogue.post("/{reward_id}/end", responses=problems(RewardNotFound, RewardStateWrong))
async def end_reward(reward_id: UUID, ending: Ending, actor: MayAdminister, session: SessionDep) -> RewardRecord:
    """下架: nobody redeems it any more, or a draft is laid aside. Coupons that were issued stay good."""
    await actions.end_reward(session, actor, reward_id, ending.reason)
    return await queries.record(session, reward_id)


@catalogue.patch("/{reward_id}", responses=problems(RewardNotFound, RewardStateWrong, RewardFaulty))
async def revise_reward(reward_id: UUID, revision: Revision, actor: MayAdminister, session: SessionDep) -> RewardRecord:
    """修订: the words of a listed reward, its end, and how many there are a day. What it costs stays as approved."""
    await actions.revise_reward(session, actor, reward_id, revision)
    return await queries.record(session, reward_id)


@catalogue.post("/{reward_id}/stock", responses=problems(RewardNotFound, RewardStateWrong, RewardFaulty))
async def restock_reward(
    reward_id: UUID, restocking: Restocking, actor: MayAdminister, session: SessionDep
) -> RewardRecord:
    """补货: so many pieces more of a listed reward, or fewer. Send an `Idempotency-Key`, lest it count twice."""
    await actions.restock_reward(session, actor, reward_id, restocking.add)
    return await queries.record(session, reward_id)


@catalogue.get("/{reward_id}/changes", responses=problems(RewardNotFound, InvalidCursor))
async def list_reward_changes(
    reward_id: UUID,
    paging: Annotated[Paging, Query()],
    actor: MayReadLedger,
    session: SessionDep,
    cursors: CursorsDep,
) -> Page[ChangeOut]:
    """Who did what to a reward, the last first."""
    return await queries.list_changes(session, cursors, reward_id, paging)


@catalogue.post(
    "/{reward_id}/pictures",
    status_code=201,
    responses=problems(
        RewardNotFound, RewardStateWrong, TooManyPictures, PhotoTooLarge, PhotoWrongType, PhotoUnreadable
    ),
)
async def add_reward_picture(
    reward_id: UUID, picture: Annotated[Picture, Depends(_take_in)], actor: MayAdminister, session: SessionDep
) -> PictureRef:
    """One picture more of a draft; six at most. What was hidden in the file is gone."""
    return PictureRef.of(await actions.add_picture(session, actor, reward_id, picture))


@catalogue.delete(
    "/{reward_id}/pictures/{picture_id}",
    status_code=204,
    responses=problems(RewardNotFound, RewardPictureNotFound),
)
async def remove_reward_picture(reward_id: UUID, picture_id: UUID, actor: MayAdminister, session: SessionDep) -> None:
    """Take a picture away, also from a listed reward. Whoever keeps a copy may show it for a day."""
    await actions.remove_picture(session, actor, reward_id, picture_id)


@rolls.get("/{roll}", responses=problems(InvalidCursor))
async def list_roll(
    roll: Roll, paging: Annotated[Paging, Query()], actor: MayAdminister, session: SessionDep, cursors: CursorsDep
) -> Page[RollEntryOut]:
    """名册: who may redeem what is for party members, or for couriers. For administrators alone."""
    return await queries.list_roll(session, cursors, roll, paging)


@rolls.put("/{roll}/people/{person_id}", status_code=204)
async def enter_on_roll(roll: Roll, person_id: UUID, actor: MayAdminister, session: SessionDep) -> None:
    """Enter a person on a roll: no service tells who is a party member or a courier."""
    await actions.enter_on_roll(session, actor, roll, person_id)


@rolls.delete("/{roll}/people/{person_id}", status_code=204)
async def strike_off_roll(roll: Roll, person_id: UUID, actor: MayAdminister, session: SessionDep) -> None:
    """Strike a person off a roll."""
    await actions.strike_off_roll(session, roll, person_id)
