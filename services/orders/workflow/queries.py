"""Reading and locking work orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select, text, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from chassis.core.actor import Actor
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.orders.callback.queries import callbacks_of
from services.orders.callback.schemas import CallbackOut
from services.orders.callback.tables import Callback
from services.orders.intake.tables import Report
from services.orders.photos.queries import photos_of
from services.orders.photos.schemas import PhotoRef
from services.orders.places import queries as places
from services.orders.terms import FINISHED, WORKING, Level, State
from services.orders.workflow.errors import OrderNotFound
from services.orders.workflow.schemas import (
    ChangeOut,
    OrderDetail,
    OrderFilters,
    OrderOut,
    VisitOut,
)
from services.orders.workflow.tables import Change, Claim, Claimant, Meeting, Order


def _orders() -> Select[Order]:
    return select(Order).options(joinedload(Order.place), joinedload(Order.community), joinedload(Order.unit))


async def order(session: AsyncSession, order_id: UUID) -> Order:
    """The order with its place, community and unit, whoever asks: for those who hold its private link."""
    return (await session.scalars(_orders().where(Order.id == order_id))).one()


async def lock_order(session: AsyncSession, order_id: UUID) -> Order:
    """The order with its place, community and unit, locked until the transaction ends. Raises OrderNotFound."""
    statement = _orders().where(Order.id == order_id).with_for_update(of=Order)
    order = (await session.scalars(statement.execution_options(populate_existing=True))).one_or_none()
    if order is None:
        raise OrderNotFound
    return order


async def lock_claimant(session: AsyncSession, handler_id: UUID) -> None:
    """Other claims by this handler wait until the transaction ends."""
    await session.execute(insert(Claimant).values(handler_id=handler_id).on_conflict_do_nothing())
    await session.execute(select(Claimant).where(Claimant.handler_id == handler_id).with_for_update())


async def open_claims(session: AsyncSession, handler_id: UUID) -> int:
    """How many orders the handler has claimed and not resolved."""
    statement = select(func.count()).where(Order.handler_id == handler_id, Order.state.in_(WORKING))
    return (await session.scalars(statement)).one()


async def held_claim(session: AsyncSession, claim_id: UUID) -> Claim:
    """The claim under which an order is held."""
    return (await session.scalars(select(Claim).where(Claim.id == claim_id))).one()


async def handlers_of(session: AsyncSession, order_id: UUID) -> frozenset[UUID]:
    """Everybody who ever claimed the order, released or not."""
    return frozenset(await session.scalars(select(Claim.handler_id).where(Claim.order_id == order_id)))


async def meetings_of(session: AsyncSession, order_id: UUID, handler_id: UUID) -> Sequence[UUID]:
    """The meetings that this handler has held for the order."""
    statement = select(Meeting.id).where(Meeting.order_id == order_id, Meeting.handler_id == handler_id)
    return (await session.scalars(statement.order_by(Meeting.id))).all()


async def reports_of(session: AsyncSession, order_id: UUID) -> Sequence[Report]:
    """The order's reports, the first one first."""
    statement = select(Report).where(Report.order_id == order_id).order_by(Report.id)
    return (await session.scalars(statement)).all()


async def reporters_of(session: AsyncSession, order_id: UUID) -> frozenset[UUID]:
    """Everybody who is known to have reported the order, or to have entered it for somebody."""
    reports = await reports_of(session, order_id)
    return frozenset(who for report in reports for who in (report.reporter_id, report.entered_by) if who)


async def next_number(session: AsyncSession, at: datetime) -> str:
    """A fresh order number: the day in Beijing and a running number, such as BY261123-000123."""
    running = await session.scalar(text("SELECT nextval('order_number')"))
    return f"BY{at:%y%m%d}-{running:06d}"


async def open_here(session: AsyncSession, place_id: UUID) -> Sequence[Order]:
    """The orders at a place that have not come to an end, the newest twenty."""
    statement = (
        select(Order)
        .where(Order.place_id == place_id, Order.state.not_in(FINISHED))
        .order_by(Order.id.desc())
        .limit(20)
    )
    return (await session.scalars(statement)).all()


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose orders somebody sees (DOMAIN: promise 4), as a condition on `Order`."""

    condition: ColumnElement[bool]
    own: ColumnElement[bool]


async def scope(session: AsyncSession, actor: Actor) -> Scope:
    """Handlers see the pool of their unit and what is in their hands; dispatchers their unit's orders (those of the
    subdistrict also what found no unit); a subdistrict's supervisors all of it; call-back agents what waits for a
    call-back in their subdistrict; auditors everything; and everybody what they reported by account.
    """
    own = Order.id.in_(select(Report.order_id).where(Report.reporter_id == actor.id))
    seen: list[ColumnElement[bool]] = [own]
    subdistrict = None
    if actor.has("dispatcher", "supervisor", "callback_agent"):
        office = await places.subdistrict_of(session, actor.organisation_id)
        subdistrict = office.id if office else None
    in_subdistrict = Order.subdistrict_id == subdistrict if subdistrict else false()
    if actor.has("handler"):
        pool = and_(Order.unit_id == actor.organisation_id, Order.level == actor.level, Order.state == State.POOLED)
        seen += [pool, Order.handler_id == actor.id]
    if actor.has("dispatcher"):
        seen.append(Order.unit_id == actor.organisation_id)
        if actor.level == Level.SUBDISTRICT:
            seen.append(and_(Order.state == State.SUBMITTED, or_(in_subdistrict, Order.subdistrict_id.is_(None))))
    if actor.has("supervisor") and actor.level == Level.SUBDISTRICT:
        seen.append(in_subdistrict)
    if actor.has("callback_agent"):
        called = Order.id.in_(select(Callback.order_id).where(Callback.by_id == actor.id))
        seen += [and_(in_subdistrict, Order.state == State.RESOLVED), called]
    if actor.has("auditor"):
        seen.append(true())
    return Scope(condition=or_(*seen), own=own)


async def list_orders(session: AsyncSession, cursors: Cursors, actor: Actor, filters: OrderFilters) -> Page[OrderOut]:
    """A page of the orders that the actor may see, newest first. Raises InvalidCursor."""
    carried = filters.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    after = cursors.decode(filters.cursor, carried)
    allowed = await scope(session, actor)
    wanted = {
        Order.state: filters.state,
        Order.unit_id: filters.unit,
        Order.community_id: filters.community,
        Order.subitem_code: filters.subitem,
        Order.urgent: filters.urgent,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    conditions.append(allowed.own if filters.owner == "me" else allowed.condition)
    if filters.open is not None:
        conditions.append(Order.state.not_in(FINISHED) if filters.open else Order.state.in_(FINISHED))
    statement = (
        _orders()
        .add_columns(allowed.own.label("own"))
        .where(*conditions)
        .order_by(Order.id.desc())
        .limit(filters.limit + 1)
    )
    if after is not None:
        statement = statement.where(Order.id < UUID(str(after[0])))
    rows = (await session.execute(statement)).all()
    shown = rows[: filters.limit]
    more = len(rows) > filters.limit
    return Page(
        items=[OrderOut.of(row.Order, for_staff=not row.own) for row in shown],
        next_cursor=cursors.encode(carried, [str(shown[-1].Order.id)]) if more else None,
    )


async def visible_order(session: AsyncSession, actor: Actor, order_id: UUID) -> tuple[Order, bool]:
    """The order if the actor may see it, and whether it is their own report. Raises OrderNotFound."""
    allowed = await scope(session, actor)
    statement = _orders().add_columns(allowed.own.label("own")).where(Order.id == order_id, allowed.condition)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise OrderNotFound
    return row.Order, row.own


async def order_detail(session: AsyncSession, actor: Actor, order_id: UUID) -> OrderDetail:
    """The order with all that happened to it, for those who may see it. Raises OrderNotFound."""
    order, own = await visible_order(session, actor, order_id)
    visits = [VisitOut.of(report) for report in await reports_of(session, order_id)]
    return OrderDetail(
        **dict(OrderOut.of(order, for_staff=not own)),
        first_unit_id=order.first_unit_id,
        visit=next((visit for visit in visits if visit), None),
        photos=[PhotoRef.of(photo) for photo in await photos_of(session, order_id)],
        history=[ChangeOut.of(change, for_staff=not own) for change in await history_of(session, order_id)],
        callbacks=[CallbackOut.of(callback) for callback in await callbacks_of(session, order_id)],
    )


async def history_of(session: AsyncSession, order_id: UUID) -> Sequence[Change]:
    """Every change of the order, from the first on."""
    statement = select(Change).where(Change.order_id == order_id).order_by(Change.sequence)
    return (await session.scalars(statement)).all()
