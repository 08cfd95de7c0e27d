"""Reading and locking coupons."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.crypto import Vault
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.coupons import rules
from services.points.coupons.errors import CouponNotFound
from services.points.coupons.schemas import CouponDetail, CouponFilters, CouponOut
from services.points.coupons.tables import Coupon, CouponEvent, WrongCodeCount
from services.points.coupons.terms import CouponRef, CouponState, WrongCodeSubject
from services.points.households.queries import household_of
from services.points.rewards.tables import Reward, RewardMerchant


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
    """A coupon of the actor's household with its present code. Raises CouponNotFound."""
    household_id = await household_of(session, actor)
    statement = select(Coupon).options(joinedload(Coupon.reward))
    coupon = await session.scalar(statement.where(Coupon.id == coupon_id, Coupon.household_id == household_id))
    if coupon is None:
        raise CouponNotFound
    return shown_to_household(vault, coupon)


def shown_to_household(vault: Vault, coupon: Coupon) -> CouponDetail:
    """A coupon with the code that it has at this moment."""
    at = clock.now()
    return CouponDetail.showing(coupon, at, lambda: rules.code(coupon.id, open_secret(vault, coupon), at))


def open_secret(vault: Vault, coupon: Coupon) -> bytes:
    """The secret that a coupon's codes come from."""
    return bytes.fromhex(vault.open(coupon.secret_sealed, secret_context(coupon.id)))


def secret_context(coupon_id: str) -> str:
    """What a coupon's secret is sealed for."""
    return f"coupon.secret:{coupon_id}"


async def redeemed(
    session: AsyncSession, reward_ids: Collection[UUID], household_ids: Collection[UUID]
) -> dict[tuple[UUID, UUID], int]:
    """How many coupons of a reward a household has had, by (reward, household), without those it was refunded."""
    if not reward_ids or not household_ids:
        return {}
    statement = (
        select(Coupon.reward_id, Coupon.household_id, func.count().label("number"))
        .where(
            Coupon.household_id.in_(household_ids),
            Coupon.reward_id.in_(reward_ids),
            Coupon.state != CouponState.REFUNDED,
        )
        .group_by(Coupon.reward_id, Coupon.household_id)
    )
    return {(row.reward_id, row.household_id): row.number for row in await session.execute(statement)}


async def taken_ids(session: AsyncSession, coupon_ids: Collection[str]) -> set[str]:
    """Those of the numbers that are a coupon's."""
    return set(await session.scalars(select(Coupon.id).where(Coupon.id.in_(coupon_ids))))


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


async def find_coupon_for_merchant(session: AsyncSession, coupon_id: str, merchant_id: UUID) -> Coupon | None:
    """The same; None where there is none."""
    honoured = exists().where(RewardMerchant.reward_id == Coupon.reward_id, RewardMerchant.merchant_id == merchant_id)
    statement = select(Coupon).options(joinedload(Coupon.reward))
    statement = statement.where(Coupon.id == coupon_id, or_(honoured, Coupon.used_by == merchant_id))
    coupon: Coupon | None = await session.scalar(statement.execution_options(populate_existing=True))
    return coupon


async def events_before(session: AsyncSession, coupon_ids: Collection[str]) -> Counter[str]:
    """How much has happened to each of these coupons, from its issue on."""
    statement = select(CouponEvent.coupon_id, func.count().label("number")).group_by(CouponEvent.coupon_id)
    rows = await session.execute(statement.where(CouponEvent.coupon_id.in_(coupon_ids)))
    return Counter({row.coupon_id: row.number for row in rows})


async def lock_wrong_codes(
    session: AsyncSession, subjects: Collection[tuple[WrongCodeSubject, str]], hour: datetime
) -> dict[tuple[WrongCodeSubject, str], WrongCodeCount]:
    """These subjects' counts for this clock hour, begun if need be, locked: merchants' before coupons'."""
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


async def coupons_of_transfers(session: AsyncSession, transfer_ids: Collection[UUID]) -> dict[UUID, CouponRef]:
    """The coupon that each of these transfers issued or used, for those that did."""
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
    past = and_(Coupon.state == CouponState.EFFECTIVE, Coupon.expires_at <= at)
    match state:
        case CouponState.EFFECTIVE:
            return and_(Coupon.state == CouponState.EFFECTIVE, Coupon.expires_at > at)
        case CouponState.EXPIRED:
            return or_(Coupon.state == CouponState.EXPIRED, past)
        case _:
            return Coupon.state == state
