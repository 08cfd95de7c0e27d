"""What follows from a call-back 回访, from an answer through the private link, and from the review 复核."""

from dataclasses import dataclass
from datetime import datetime
from hmac import digest
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, ids
from chassis.core.actor import Actor
from chassis.core.errors import Forbidden
from chassis.core.messages import publish
from services.orders.callback import queries, rules
from services.orders.callback.messages import OrderClosed
from services.orders.callback.schemas import AnswerIn, CallbackIn, ReviewIn
from services.orders.callback.tables import Callback
from services.orders.intake.tables import Report
from services.orders.places import queries as places
from services.orders.terms import ClosedWhy, Level, Post, Satisfied, State
from services.orders.workflow import actions as workflow
from services.orders.workflow import queries as orders
from services.orders.workflow.messages import ClaimReleased, MeetingWithdrawn
from services.orders.workflow.rules import check_move
from services.orders.workflow.tables import Order


@dataclass(frozen=True, slots=True)
class Ending:
    """How an order ends: the answer as far as it counts, and why it closes."""

    why: ClosedWhy
    contacted: bool
    solved: bool | None
    satisfied: Satisfied | None


async def record_callback(session: AsyncSession, actor: Actor, order_id: UUID, body: CallbackIn) -> Order:
    """A call-back agent's try to reach the resident, and what they said.

    Raises Invalid, OrderNotFound (of another subdistrict), OwnCallback, WrongState.
    """
    rules.check_answer(body.contacted, body.solved, body.satisfied)
    order = await _lock_in_subdistrict(session, actor, order_id)
    await _check_not_own(session, actor, order)
    check_move(order.state, State.CLOSED, Post.CALLBACK_AGENT)
    at = clock.now()
    tries = await queries.fruitless_tries(session, order)
    _record(session, order, at, by_id=actor.id, body=body)
    if body.solved is None or body.satisfied is None:
        if rules.is_unreachable([*tries, at]):
            ending = Ending(ClosedWhy.UNREACHABLE, contacted=False, solved=None, satisfied=None)
            await _close(session, order, ending, post=Post.CALLBACK_AGENT, by_id=actor.id)
    elif rules.is_good(body.solved, body.satisfied):
        why = rules.closing_reason(body.solved, body.satisfied, verifiable=True)
        ending = Ending(why, contacted=True, solved=body.solved, satisfied=body.satisfied)
        await _close(session, order, ending, post=Post.CALLBACK_AGENT, by_id=actor.id)
    else:
        _send_back(session, order, at, post=Post.CALLBACK_AGENT, by_id=actor.id)
    return order


async def answer_by_link(session: AsyncSession, report: Report, body: AnswerIn, *, key: bytes, share: float) -> Order:
    """The reporter's own answer, through the private link.

    Of the good answers a share, drawn with `key`, waits for a check by phone (where there is a phone) before the order
    closes. Raises WrongState, OwnCallback, AlreadyAnswered.
    """
    order = await orders.lock_order(session, report.order_id)
    good = rules.is_good(body.solved, body.satisfied)
    rules.check_link_answer(
        order,
        good=good,
        handlers=await orders.handlers_of(session, order.id),
        reporters=await orders.reporters_of(session, order.id),
    )
    at = clock.now()
    callback = CallbackIn(contacted=True, solved=body.solved, satisfied=body.satisfied)
    _record(session, order, at, by_id=None, body=callback)
    if not good:
        _send_back(session, order, at, post=Post.RESIDENT, by_id=report.reporter_id)
    elif report.phone_sealed and rules.is_drawn_for_check(digest(key, order.id.bytes, "sha256"), share):
        order.awaits_check = True
    else:
        verifiable = report.phone_sealed is not None or report.reporter_id is not None
        why = rules.closing_reason(body.solved, body.satisfied, verifiable=verifiable)
        counts = why is not ClosedWhy.UNVERIFIED
        ending = Ending(why, counts, body.solved if counts else None, body.satisfied if counts else None)
        await _close(session, order, ending, post=Post.RESIDENT, by_id=report.reporter_id)
    return order


async def review_order(session: AsyncSession, actor: Actor, order_id: UUID, body: ReviewIn) -> Order:
    """复核: after two rounds in vain, a supervisor of the subdistrict closes the order as truthfully handled, or sends
    it back to work. Raises OrderNotFound, Forbidden, OwnCallback, WrongState.
    """
    order = await _lock_in_subdistrict(session, actor, order_id)
    if actor.level != Level.SUBDISTRICT:
        raise Forbidden
    await _check_not_own(session, actor, order)
    if body.decision == "back":
        workflow.move(
            session, order, State.IN_PROGRESS, post=Post.SUPERVISOR, by_id=actor.id, at=clock.now(), why=body.note
        )
        return order
    check_move(order.state, State.CLOSED, Post.SUPERVISOR)
    said = await queries.last_answer(session, order.id)
    ending = Ending(ClosedWhy.REVIEWED, contacted=True, solved=said.solved, satisfied=said.satisfied)
    await _close(session, order, ending, post=Post.SUPERVISOR, by_id=actor.id, note=body.note)
    return order


async def _lock_in_subdistrict(session: AsyncSession, actor: Actor, order_id: UUID) -> Order:
    """The order, if it is of the actor's subdistrict or they may see it for another reason."""
    order = await orders.lock_order(session, order_id)
    office = await places.subdistrict_of(session, actor.organisation_id)
    if office is None or order.subdistrict_id != office.id:
        await orders.visible_order(session, actor, order_id)
    return order


async def _check_not_own(session: AsyncSession, actor: Actor, order: Order) -> None:
    rules.check_callback_by(
        actor.id,
        handlers=await orders.handlers_of(session, order.id),
        reporters=await orders.reporters_of(session, order.id),
    )


def _record(session: AsyncSession, order: Order, at: datetime, *, by_id: UUID | None, body: CallbackIn) -> None:
    session.add(
        Callback(
            id=ids.new_id(),
            order_id=order.id,
            round=order.round,
            at=at,
            by_id=by_id,
            contacted=body.contacted,
            solved=body.solved,
            satisfied=body.satisfied,
        )
    )


def _send_back(session: AsyncSession, order: Order, at: datetime, *, post: Post, by_id: UUID | None) -> None:
    """Not solved, or not satisfied: the next round of work, or the supervisor's review."""
    to = rules.after_bad_answer(order.round)
    if to is State.IN_PROGRESS:
        order.round += 1
    order.awaits_check, order.resolved_at, order.callback_by = False, None, None
    workflow.move(session, order, to, post=post, by_id=by_id, at=at, why="not_solved_or_dissatisfied")


async def _close(
    session: AsyncSession, order: Order, ending: Ending, *, post: Post, by_id: UUID | None, note: str | None = None
) -> None:
    """办结: close a locked order and tell what scores.

    Where the handler has turned out to be the reporter, the work does not score, nor do the claim and the meeting.
    """
    at = clock.now()
    workflow.move(session, order, State.CLOSED, post=post, by_id=by_id, at=at, why=note or str(ending.why))
    order.closed_at, order.closed_why, order.awaits_check = at, ending.why, False
    assert order.handler_id is not None
    assert order.claim_id is not None
    assert order.unit_id is not None
    if order.handler_id in await orders.reporters_of(session, order.id):
        await publish(session, ClaimReleased(order_id=order.id, claim_id=order.claim_id, occurred_at=at))
        for meeting_id in await orders.meetings_of(session, order.id, order.handler_id):
            await publish(session, MeetingWithdrawn(order_id=order.id, meeting_id=meeting_id, occurred_at=at))
        return
    report = (await orders.reports_of(session, order.id))[0]
    await publish(
        session,
        OrderClosed(
            order_id=order.id,
            number=order.number,
            closure_id=ids.new_id(),
            handler_id=order.handler_id,
            unit_id=order.unit_id,
            community=order.community_id,
            round=order.round,
            contacted=ending.contacted,
            solved=ending.solved,
            satisfied=ending.satisfied,
            double_yes=ending.why is ClosedWhy.DOUBLE_YES,
            why=ending.why,
            source=order.source,
            reporter_id=report.reporter_id,
            reporter_household_id=report.household_id,
            real=True,
            occurred_at=at,
        ),
    )
