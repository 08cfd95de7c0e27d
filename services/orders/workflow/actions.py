"""What is done to work orders: one function a use case, each within the caller's transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, ids
from chassis.core.actor import Actor
from chassis.core.beijing import BEIJING
from chassis.core.errors import Forbidden
from chassis.core.messages import publish
from services.orders.deadlines import rules as deadlines
from services.orders.intake.tables import Report
from services.orders.intake.taxonomy import SubItem, Taxonomy
from services.orders.photos import actions as photos
from services.orders.places import queries as places
from services.orders.places.rules import route
from services.orders.places.tables import Place, Unit
from services.orders.terms import Level, PhotoPurpose, Post, Source, State
from services.orders.workflow import queries, rules
from services.orders.workflow.messages import ClaimReleased, OrderClaimed, OrderMet
from services.orders.workflow.schemas import MeetIn, ResolveIn
from services.orders.workflow.tables import Change, Claim, Meeting, Order


async def open_order(
    session: AsyncSession, place: Place, taxonomy: Taxonomy, subitem: SubItem, source: Source
) -> Order:
    """A new order for a report at a place: it goes to the pool of the unit that the routing rules name.

    Where they find none it stays SUBMITTED, for a dispatcher. Its deadlines count from now.
    """
    at = clock.now()
    around = await places.surroundings(session, place)
    accused = subitem.accused is not None
    to = route(
        place,
        subitem.level1_owner,
        taxonomy.item_codes[subitem.code],
        accused=accused,
        units=around.units.values(),
        subdistrict=around.subdistrict,
    )
    promised = deadlines.deadlines(at, sla_hours=subitem.sla_hours, urgent=subitem.urgent)
    order = Order(
        id=ids.new_id(),
        number=await queries.next_number(session, at.astimezone(BEIJING)),
        state=State.SUBMITTED,
        source=source,
        round=1,
        changes=0,
        place=place,
        community=around.units[place.community_id],
        subdistrict_id=around.subdistrict.id if around.subdistrict else None,
        subitem_code=subitem.code,
        taxonomy_version=taxonomy.version,
        urgent=subitem.urgent,
        level=to.level,
        unit=None,
        accused_unit_id=place.property_id if accused else None,
        created_at=at,
        contact_by=promised.contact_by,
        due_at=promised.due_at,
        awaits_check=False,
    )
    session.add(order)
    await session.flush()
    move(session, order, State.SUBMITTED, post=Post.SYSTEM, at=at)
    if to.unit is not None:
        _pool(session, order, to.unit, post=Post.SYSTEM, by_id=None, at=at)
    await session.flush()
    return order


def move(
    session: AsyncSession,
    order: Order,
    to: State,
    *,
    post: Post,
    at: datetime,
    by_id: UUID | None = None,
    why: str | None = None,
) -> None:
    """Change the state and write the one row of history. Raises WrongState where the table has no such transition."""
    present = order.state if order.changes else None
    rules.check_move(present, to, post)
    order.state = to
    order.changes += 1
    session.add(
        Change(
            id=ids.new_id(),
            order_id=order.id,
            sequence=order.changes,
            at=at,
            post=post,
            by_id=by_id,
            from_state=present,
            to_state=to,
            round=order.round,
            why=why,
        )
    )


def _pool(
    session: AsyncSession,
    order: Order,
    unit: Unit,
    *,
    post: Post,
    by_id: UUID | None,
    at: datetime,
    why: str | None = None,
) -> None:
    order.unit = unit
    order.level = unit.level
    order.first_unit_id = order.first_unit_id or unit.id
    order.claim_by = deadlines.claim_by(at, urgent=order.urgent)
    move(session, order, State.POOLED, post=post, by_id=by_id, at=at, why=why)


async def pool_order(session: AsyncSession, actor: Actor, order_id: UUID, unit_id: UUID) -> Order:
    """A dispatcher of the subdistrict sends an order that found no unit to one of the subdistrict's.

    Raises OrderNotFound, WrongState, UnitUnknown, UnitAccused.
    """
    order = await queries.lock_order(session, order_id)
    await _check_dispatcher(session, actor, order)
    rules.check_move(order.state, State.POOLED, Post.DISPATCHER)
    unit = await places.unit(session, unit_id, "body.unit_id")
    office = await places.subdistrict_of(session, unit.id)
    rules.check_within(order, unit, office)
    rules.check_not_accused(order, unit.id)
    assert office is not None  # check_within
    order.subdistrict_id = office.id
    _pool(session, order, unit, post=Post.DISPATCHER, by_id=actor.id, at=clock.now())
    return order


async def _check_dispatcher(session: AsyncSession, actor: Actor, order: Order) -> None:
    """A dispatcher sees an order that found no unit from the subdistrict level; any other, from its own unit."""
    if order.unit_id is not None and order.unit_id == actor.organisation_id:
        return
    await queries.visible_order(session, actor, order.id)
    if actor.level != Level.SUBDISTRICT:
        raise Forbidden


async def claim_order(session: AsyncSession, actor: Actor, order_id: UUID, *, limit: int) -> Order:
    """抢单: take an order from the pool; of all who try at once, one wins.

    Raises OrderNotFound, OrderAlreadyClaimed, WrongState, OwnReport, ClaimLimitReached.
    """
    await queries.lock_claimant(session, actor.id)
    order = await queries.lock_order(session, order_id)
    rules.check_claim(
        order,
        rules.Standing(actor.id, actor.organisation_id, Level(actor.level) if actor.level else None),
        reporters=await queries.reporters_of(session, order_id),
        open_claims=await queries.open_claims(session, actor.id),
        limit=limit,
    )
    at = clock.now()
    # Back in the pool an order gets a new deadline, but not for those who had it before: releasing pays nothing.
    first_time = actor.id not in await queries.handlers_of(session, order_id)
    assert order.unit_id is not None
    claim = Claim(
        id=ids.new_id(),
        order_id=order.id,
        handler_id=actor.id,
        unit_id=order.unit_id,
        in_time=first_time and rules.is_in_time(order, at),
        claimed_at=at,
    )
    session.add(claim)
    order.handler_id, order.claim_id = actor.id, claim.id
    move(session, order, State.CLAIMED, post=Post.HANDLER, by_id=actor.id, at=at)
    await publish(
        session,
        OrderClaimed(
            order_id=order.id,
            number=order.number,
            claim_id=claim.id,
            handler_id=actor.id,
            unit_id=order.unit_id,
            community=order.community_id,
            in_time=claim.in_time,
            occurred_at=at,
        ),
    )
    return order


async def release_order(session: AsyncSession, actor: Actor, order_id: UUID, reason: str) -> Order:
    """The handler gives the order back to the pool; the claim no longer counts.

    Raises OrderNotFound, NotHandler, WrongState.
    """
    order = await _lock_own(session, actor, order_id)
    rules.check_move(order.state, State.POOLED, Post.HANDLER)
    at = clock.now()
    assert order.claim_id is not None
    assert order.unit is not None
    claim = await queries.held_claim(session, order.claim_id)
    claim.released_at = at
    order.handler_id = order.claim_id = None
    _pool(session, order, order.unit, post=Post.HANDLER, by_id=actor.id, at=at, why=reason)
    await publish(session, ClaimReleased(order_id=order.id, claim_id=claim.id, occurred_at=at))
    return order


async def meet_resident(session: AsyncSession, actor: Actor, order_id: UUID, body: MeetIn) -> Order:
    """见面: the handler met the resident. Raises OrderNotFound, NotHandler, WrongState, Invalid."""
    order = await _lock_own(session, actor, order_id)
    at = clock.now()
    move(session, order, State.MET, post=Post.HANDLER, by_id=actor.id, at=at, why=body.note)
    rules.check_meeting(body.mode, body.note)
    meeting = Meeting(id=ids.new_id(), order_id=order.id, handler_id=actor.id, mode=body.mode, at=at)
    session.add(meeting)
    assert order.unit_id is not None
    await publish(
        session,
        OrderMet(
            order_id=order.id,
            number=order.number,
            meeting_id=meeting.id,
            handler_id=actor.id,
            unit_id=order.unit_id,
            community=order.community_id,
            mode=body.mode,
            occurred_at=at,
        ),
    )
    return order


async def start_work(session: AsyncSession, actor: Actor, order_id: UUID, reason: str | None) -> Order:
    """Work begins; without a meeting before it, with the reason why there was nobody to meet.

    Raises OrderNotFound, NotHandler, WrongState, Invalid.
    """
    order = await _lock_own(session, actor, order_id)
    rules.check_move(order.state, State.IN_PROGRESS, Post.HANDLER)
    rules.check_start(order, reason)
    move(session, order, State.IN_PROGRESS, post=Post.HANDLER, by_id=actor.id, at=clock.now(), why=reason)
    return order


async def resolve_order(session: AsyncSession, actor: Actor, order_id: UUID, body: ResolveIn) -> Order:
    """The work is done, says its handler, with a note and photos as proof; the resident is called back.

    Raises OrderNotFound, NotHandler, WrongState, PhotoUnknown.
    """
    order = await _lock_own(session, actor, order_id)
    _resolve(session, order, post=Post.HANDLER, by_id=actor.id, why=body.note)
    await photos.attach(session, body.photos, order.id, PhotoPurpose.PROOF, at=clock.now())
    return order


def _resolve(session: AsyncSession, order: Order, *, post: Post, by_id: UUID | None, why: str) -> None:
    at = clock.now()
    move(session, order, State.RESOLVED, post=post, by_id=by_id, at=at, why=why)
    order.resolved_at = at
    order.callback_by = deadlines.callback_by(at, urgent=order.urgent)


async def settle_order(session: AsyncSession, report: Report) -> Order:
    """The reporter says that the matter is settled; they are still called back. Raises WrongState."""
    order = await queries.lock_order(session, report.order_id)
    _resolve(session, order, post=Post.RESIDENT, by_id=report.reporter_id, why="settled")
    return order


async def withdraw_order(session: AsyncSession, report: Report) -> Order:
    """The reporter withdraws the report before anybody took it. Raises WrongState."""
    order = await queries.lock_order(session, report.order_id)
    move(session, order, State.CANCELLED, post=Post.RESIDENT, by_id=report.reporter_id, at=clock.now(), why="withdrawn")
    return order


async def _lock_own(session: AsyncSession, actor: Actor, order_id: UUID) -> Order:
    """The order, if it is in the actor's hands. To others it is as if it were not there, unless they may see it."""
    order = await queries.lock_order(session, order_id)
    if order.handler_id != actor.id:
        await queries.visible_order(session, actor, order_id)
    rules.check_handler(order, actor.id)
    return order
