"""Reading and locking coupons."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.crypto import Vault
from chassis.core.db import driver_connection, driver_errors
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.coupons import rules
from services.points.coupons.errors import CouponNotFound, GuardianNeeded, HouseholdNotKnownYet
from services.points.coupons.schemas import (
    CouponCodeOut,
    CouponDetail,
    CouponEventOut,
    CouponFilters,
    CouponHistory,
    CouponOut,
)
from services.points.coupons.tables import Coupon, CouponEvent, CouponLife, WrongCodeCount
from services.points.coupons.terms import CouponRef, CouponState, WrongCodeSubject
from services.points.households.queries import household_of, members_of
from services.points.ledger.tables import TransferText
from services.points.rewards.queries import honours
from services.points.rewards.tables import Reward

HISTORY_SHOWN = 200
"""Events of one coupon: more than any real one has."""


async def list_coupons(
    session: AsyncSession, cursors: Cursors, actor: Actor, filters: CouponFilters
) -> Page[CouponOut]:
    """A page of the coupons of the actor's household, the latest first. Raises InvalidCursor."""
    carried = {"list": "coupons"} | filters.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    after = cursors.decode(filters.cursor, carried)
    household_id = await household_of(session, actor)
    if household_id is None:
        return Page(items=[], next_cursor=None)
    at = clock.now()
    statement = select(Coupon).options(joinedload(Coupon.reward)).where(Coupon.household_id == household_id)
    if filters.state is not None:
        statement = statement.where(_is(filters.state, at))
    if after is not None:
        last = (datetime.fromisoformat(str(after[0])), str(after[1]))
        statement = statement.where(tuple_(Coupon.issued_at, Coupon.id) < last)
    statement = statement.order_by(Coupon.issued_at.desc(), Coupon.id.desc()).limit(filters.limit + 1)
    coupons = (await session.scalars(statement)).all()
    shown = coupons[: filters.limit]
    more = len(coupons) > filters.limit
    return Page(
        items=[CouponOut.of(coupon, at) for coupon in shown],
        next_cursor=cursors.encode(carried, [shown[-1].issued_at.isoformat(), shown[-1].id]) if more else None,
    )


async def coupon_detail(session: AsyncSession, vault: Vault, actor: Actor, coupon_id: str) -> CouponDetail:
    """A coupon of the actor's household with its present code, where it is theirs to show. Raises CouponNotFound."""
    coupon, refusal = await _own(session, actor, coupon_id)
    return shown_to_household(vault, coupon, may_show=refusal is None)


async def coupon_code(session: AsyncSession, vault: Vault, actor: Actor, coupon_id: str) -> CouponCodeOut:
    """The present code of a coupon of the actor's household.

    Raises CouponNotFound, HouseholdNotKnownYet, GuardianNeeded, CouponUsed, CouponExpired.
    """
    coupon, refusal = await _own(session, actor, coupon_id)
    if refusal is not None:
        raise refusal
    at = clock.now()
    rules.check_has_code(coupon, at)
    return CouponCodeOut.of(rules.code(coupon.id, open_secret(vault, coupon), at), rules.code_changes_at(at))


def shown_to_household(vault: Vault, coupon: Coupon, *, may_show: bool) -> CouponDetail:
    """A coupon with the code that it has at this moment, or without, for who may not show it."""
    at = clock.now()
    secret = open_secret(vault, coupon) if may_show and rules.has_code(coupon, at) else None
    return CouponDetail.showing(coupon, at, rules.code(coupon.id, secret, at) if secret else None)


async def _own(
    session: AsyncSession, actor: Actor, coupon_id: str
) -> tuple[Coupon, HouseholdNotKnownYet | GuardianNeeded | None]:
    """A coupon of the actor's household, and why they may not show its code, if they may not: all members may, but
    children only what was redeemed for them. Raises CouponNotFound.
    """
    household_id = await household_of(session, actor)
    statement = select(Coupon).options(joinedload(Coupon.reward))
    coupon = await session.scalar(statement.where(Coupon.id == coupon_id, Coupon.household_id == household_id))
    if coupon is None or household_id is None:
        raise CouponNotFound
    if coupon.for_member_id == actor.id:
        return coupon, None
    child = (await members_of(session, [household_id])).get(household_id, {}).get(actor.id)
    if child is None:
        return coupon, HouseholdNotKnownYet()
    return coupon, GuardianNeeded() if child else None


async def coupon_history(session: AsyncSession, coupon_id: str) -> CouponHistory:
    """A coupon and all that happened to it, with staff's reasons as far as they are kept. Raises CouponNotFound."""
    statement = select(Coupon).options(joinedload(Coupon.reward))
    coupon = await session.scalar(statement.where(Coupon.id == coupon_id))
    if coupon is None:
        raise CouponNotFound
    happened = select(CouponEvent, TransferText.words)
    happened = happened.outerjoin(TransferText, TransferText.transfer_id == CouponEvent.transfer_id)
    rows = await session.execute(
        happened.where(CouponEvent.coupon_id == coupon_id).order_by(CouponEvent.number.desc()).limit(HISTORY_SHOWN)
    )
    return CouponHistory.with_events(coupon, clock.now(), [CouponEventOut.of(event, words) for event, words in rows])


def open_secret(vault: Vault, coupon: CouponLife) -> bytes:
    """The secret that a coupon's codes come from."""
    return bytes.fromhex(vault.open(coupon.secret_sealed, secret_context(coupon.id)))


def secret_context(coupon_id: str) -> str:
    """What a coupon's secret is sealed for."""
    return f"coupon.secret:{coupon_id}"


_REDEEMED = """
SELECT asked.reward_id, coupon.household_id, count(*)
FROM unnest(%b::uuid[], %b::timestamptz[]) AS asked (reward_id, since) JOIN coupon USING (reward_id)
WHERE coupon.household_id = ANY(%b) AND coupon.state <> 'refunded'
    AND (asked.since IS NULL OR coupon.issued_at >= asked.since)
GROUP BY 1, 2
"""


async def redeemed(
    session: AsyncSession, since: Mapping[UUID, datetime | None], household_ids: Collection[UUID]
) -> dict[tuple[UUID, UUID], int]:
    """How many coupons of a reward a household has had since a moment (ever, where that is None), by (reward,
    household), without those it was refunded.
    """
    if not since or not household_ids:
        return {}
    driver = await driver_connection(session)
    with driver_errors(driver):
        cursor = driver.cursor(binary=True)
        await cursor.execute(_REDEEMED, [list(since), list(since.values()), list(household_ids)])
        return {(reward_id, household_id): number for reward_id, household_id, number in await cursor.fetchall()}


async def taken_ids(session: AsyncSession, coupon_ids: Collection[str]) -> set[str]:
    """Those of the numbers that are a coupon's."""
    driver = await driver_connection(session)
    with driver_errors(driver):
        rows = await driver.execute("SELECT id FROM coupon WHERE id = ANY(%b)", [list(coupon_ids)])
        return {id_ for (id_,) in await rows.fetchall()}


async def lock_coupons(session: AsyncSession, coupon_ids: Collection[str]) -> dict[str, Coupon]:
    """Those of the coupons that there are, with their rewards, locked in the order of their ids until the transaction
    ends. Lock the ledger first.
    """
    statement = select(Coupon).options(joinedload(Coupon.reward)).where(Coupon.id.in_(coupon_ids)).order_by(Coupon.id)
    statement = statement.with_for_update(of=Coupon)
    coupons = await session.scalars(statement.execution_options(populate_existing=True))
    return {coupon.id: coupon for coupon in coupons}


async def coupon_for_merchant(session: AsyncSession, coupon_id: str, merchant_id: UUID) -> Coupon:
    """A coupon that the merchant honours, or that was used there. Raises CouponNotFound."""
    coupon = await find_coupon_for_merchant(session, coupon_id, merchant_id)
    if coupon is None:
        raise CouponNotFound
    return coupon


async def find_coupon_for_merchant(
    session: AsyncSession, coupon_id: str, merchant_id: UUID, store_id: str | None = None
) -> Coupon | None:
    """The same (in this store); None where there is none."""
    statement = select(Coupon).options(joinedload(Coupon.reward))
    honoured = honours(Coupon.reward_id, merchant_id, store_id)
    statement = statement.where(Coupon.id == coupon_id, or_(honoured, Coupon.used_by == merchant_id))
    coupon: Coupon | None = await session.scalar(statement.execution_options(populate_existing=True))
    return coupon


async def lock_coupons_for(session: AsyncSession, person_id: UUID) -> Sequence[str]:
    """The ids of the coupons that are for a person, locked until the transaction ends."""
    statement = select(Coupon.id).where(Coupon.for_member_id == person_id).order_by(Coupon.id).with_for_update()
    return (await session.scalars(statement)).all()


async def lock_wrong_codes(
    session: AsyncSession, subjects: Collection[tuple[WrongCodeSubject, str]], hour: datetime
) -> dict[tuple[WrongCodeSubject, str], WrongCodeCount]:
    """These subjects' counts for this clock hour, begun if need be, locked: merchants' before coupons'.

    The order holds within one deed. Two deeds of a batch lock one after the other, so a till that only asks
    (`actions.judge_code`, which does not wait for the ledger) may stand between them and be in the way: PostgreSQL sees
    that within a second and ends one of the two, which has changed nothing. A batch is then carried out again, and the
    till told to ask again. To order all deeds of a batch, each would have to wait for all to have been read.
    """
    if not subjects:
        return {}
    in_order = sorted(subjects, key=lambda subject: (subject[0] is WrongCodeSubject.COUPON, subject[1]))
    statement = (
        insert(WrongCodeCount)
        .values([{"by": by, "subject": subject, "hour": hour, "wrong": 0} for by, subject in in_order])
        .on_conflict_do_update(
            index_elements=[WrongCodeCount.by, WrongCodeCount.subject, WrongCodeCount.hour],
            set_={"wrong": WrongCodeCount.wrong},  # changes nothing, but locks the row and returns it
        )
        .returning(WrongCodeCount)
    )
    counts = await session.scalars(statement, execution_options={"populate_existing": True})
    return {(count.by, count.subject): count for count in counts}


async def delete_wrong_codes(session: AsyncSession, *, of_hours_until: datetime) -> None:
    """Forget what was counted in clock hours that began by then."""
    await session.execute(delete(WrongCodeCount).where(WrongCodeCount.hour <= of_hours_until))


async def overdue_coupons(
    session: AsyncSession, now: datetime, *, after: tuple[datetime, str] | None, limit: int
) -> Sequence[tuple[datetime, str]]:
    """When coupons ended that nobody used, and their ids: so many after the last one that was seen.

    This order never changes for a coupon, so none is missed.
    """
    overdue = select(Coupon.expires_at, Coupon.id).where(
        Coupon.state == CouponState.EFFECTIVE, Coupon.expires_at <= now
    )
    if after:
        overdue = overdue.where(tuple_(Coupon.expires_at, Coupon.id) > after)
    rows = await session.execute(overdue.order_by(Coupon.expires_at, Coupon.id).limit(limit))
    return [(at, id_) for at, id_ in rows]


async def coupons_of_transfers(session: AsyncSession, transfer_ids: Collection[UUID]) -> dict[UUID, CouponRef]:
    """The coupon that each of these transfers is about, for those that are."""
    if not transfer_ids:
        return {}
    statement = (
        select(CouponEvent.transfer_id, Coupon.id, Reward.title)
        .join(Coupon, Coupon.id == CouponEvent.coupon_id)
        .join(Reward, Reward.id == Coupon.reward_id)
        .where(CouponEvent.transfer_id.in_(transfer_ids))
    )
    return {row.transfer_id: CouponRef(row.id, row.title) for row in await session.execute(statement)}


def _is(state: CouponState, at: datetime) -> ColumnElement[bool]:
    """The condition that is `rules.state_at`."""
    stored = Coupon.state == state
    good = and_(Coupon.state == CouponState.EFFECTIVE, Coupon.expires_at > at)
    match state:
        case CouponState.EFFECTIVE:
            return and_(good, or_(Coupon.locked_until.is_(None), Coupon.locked_until <= at))
        case CouponState.LOCKED:
            return and_(good, Coupon.locked_until > at)
        case CouponState.EXPIRED:
            return or_(stored, and_(Coupon.state == CouponState.EFFECTIVE, Coupon.expires_at <= at))
        case _:
            return stored
