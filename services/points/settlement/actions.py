"""Drawing up statements, disputing, adjusting and confirming them. What is paid is a deed (`payment`)."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.points.ledger.queries import lock_ledgers
from services.points.merchants.tables import Merchant
from services.points.settlement import lines, queries, rules
from services.points.settlement.errors import NotDisputed
from services.points.settlement.tables import Adjustment, Dispute, Statement
from services.points.settlement.terms import AdjustmentState, StatementState
from services.points.statements.terms import Range
from services.points.terms import LedgerName
from services.points.webhooks.announcing import Announcement, announce
from services.points.webhooks.terms import EventType


async def close_month(session: AsyncSession, month: date) -> int:
    """The number in the civic ledger before which a month that is over ends.

    From here on nothing is posted as if it were in that month. Who posts meanwhile waits until the transaction ends.
    """
    end = rules.next_month(month)
    ledgers = await lock_ledgers(session, [LedgerName.CIVIC])
    await queries.close_until(session, rules.midnight(end))
    return min((await lines.numbers_of(session, month, end)).end, ledgers[LedgerName.CIVIC].last_sequence + 1)


async def draw_up(session: AsyncSession, merchant: Merchant, month: date, numbers: Range, at: datetime) -> None:
    """月结: a merchant's statement of a month that was closed. Nothing where there is one.

    `numbers` begin where those of the one before it ended.
    """
    stores = await lines.sums_by_store(session, merchant.id, numbers)
    statement = (
        insert(Statement)
        .values(
            id=new_id(),
            merchant_id=merchant.id,
            month=month,
            mchid=merchant.mchid,
            merchant_name=merchant.name,
            first_number=numbers.first,
            end_number=numbers.end,
            uses=sum(store.uses for store in stores),
            returns=sum(store.returns for store in stores),
            face_fen=sum(store.face_fen for store in stores),
            payable_fen=sum(store.payable_fen for store in stores),
            points=sum(store.points for store in stores),
            adjusted_fen=0,
            state=StatementState.DRAFT,
            made_at=at,
            confirms_at=rules.confirms_at(at),
        )
        .on_conflict_do_nothing(index_elements=[Statement.merchant_id, Statement.month])
        .returning(Statement)
    )
    if made := await session.scalar(statement):
        await announce(session, [announcement(EventType.STATEMENT_DRAFTED, made, at)])


async def dispute(session: AsyncSession, actor: Actor, statement_id: UUID, words: str) -> None:
    """提出异议: a manager says what is wrong with a draft. It is not confirmed until that was answered.

    Raises StatementNotFound, StatementClosed, DisputeOpen, DisputeTooLate.
    """
    at = clock.now()
    statement = await queries.lock_statement(session, statement_id)
    rules.check_may_answer_for(actor, statement)
    rules.check_disputable(statement, await queries.unsettled(session, statement), at)
    raised = {"words": words, "raised_by": actor.id, "raised_at": at}
    unanswered: dict[str, Any] = {"answer": None, "answered_by": None, "answered_at": None}
    session.add(Dispute(id=new_id(), statement_id=statement.id, **raised, **unanswered))
    await session.flush()


async def agree(session: AsyncSession, actor: Actor, statement_id: UUID) -> None:
    """确认: a manager agrees to a draft before its time is over.

    Raises StatementNotFound, StatementClosed, DisputeOpen, AdjustmentPending, EarlierMonthOpen.
    """
    await lock_ledgers(session, [LedgerName.CIVIC])
    statement = await queries.lock_statement(session, statement_id)
    rules.check_may_answer_for(actor, statement)
    await _confirm(session, statement, actor.id, clock.now())


async def resolve(session: AsyncSession, actor: Actor, statement_id: UUID, words: str) -> None:
    """答复异议: the merchant is answered, and the statement is confirmed with what was adjusted.

    Raises StatementNotFound, OwnMerchant, StatementClosed, NotDisputed, AdjustmentPending, EarlierMonthOpen.
    """
    at = clock.now()
    await lock_ledgers(session, [LedgerName.CIVIC])
    statement = await queries.lock_statement(session, statement_id)
    rules.check_may_settle(actor, statement.merchant_id)
    rules.check_draft(statement)
    disputed = await queries.open_dispute(session, statement_id)
    if disputed is None:
        raise NotDisputed
    disputed.answer, disputed.answered_by, disputed.answered_at = words, actor.id, at
    await session.flush()
    await _confirm(session, statement, actor.id, at)


async def confirm_due(session: AsyncSession, statement_id: UUID, at: datetime) -> None:
    """A draft whose time is over is confirmed by itself, if nothing came in between meanwhile.

    Raises StatementClosed, DisputeOpen, AdjustmentPending, EarlierMonthOpen.
    """
    await lock_ledgers(session, [LedgerName.CIVIC])
    statement = await queries.lock_statement(session, statement_id)
    if at >= statement.confirms_at:
        await _confirm(session, statement, None, at)


async def propose_adjustment(
    session: AsyncSession, actor: Actor, statement_id: UUID, fen: int, reason: str
) -> Adjustment:
    """调整: a line that is to be added to a draft. Another administrator decides on it.

    Raises StatementNotFound, OwnMerchant, StatementClosed.
    """
    statement = await queries.lock_statement(session, statement_id)
    rules.check_may_settle(actor, statement.merchant_id)
    rules.check_draft(statement)
    adjustment = Adjustment(
        id=new_id(),
        statement_id=statement.id,
        fen=fen,
        reason=reason,
        state=AdjustmentState.PENDING,
        proposed_by=actor.id,
        proposed_at=clock.now(),
        decided_by=None,
        decided_at=None,
    )
    session.add(adjustment)
    await session.flush()
    return adjustment


async def decide_adjustment(session: AsyncSession, actor: Actor, adjustment_id: UUID, *, approve: bool) -> Adjustment:
    """复核: another administrator adds the line, or not. A draft that changes can be disputed for five days anew.

    Raises AdjustmentNotFound, OwnMerchant, StatementClosed, AdjustmentDecided, OwnAdjustment.
    """
    at = clock.now()
    statement, adjustment = await queries.lock_adjustment(session, adjustment_id)
    rules.check_may_settle(actor, statement.merchant_id)
    rules.check_decidable(adjustment, actor)
    rules.check_draft(statement)
    adjustment.state = AdjustmentState.APPROVED if approve else AdjustmentState.REJECTED
    adjustment.decided_by, adjustment.decided_at = actor.id, at
    if approve:
        statement.adjusted_fen += adjustment.fen
        statement.confirms_at = max(statement.confirms_at, rules.confirms_at(at))
    await session.flush()
    return adjustment


async def _confirm(session: AsyncSession, statement: Statement, by: UUID | None, at: datetime) -> None:
    """A month is settled: whoever returns one of its coupons from now on is refused. The ledger's lock is held."""
    rules.check_confirmable(statement, await queries.unsettled(session, statement))
    statement.state, statement.confirmed_at, statement.confirmed_by = StatementState.CONFIRMED, at, by
    await session.flush()
    await queries.settle_before(session, statement.merchant_id, rules.next_month(statement.month))
    await announce(session, [announcement(EventType.STATEMENT_CONFIRMED, statement, at)])


def announcement(event: EventType, statement: Statement, at: datetime) -> Announcement:
    """What the merchant is told of a statement."""
    resource = {"statement_id": statement.id, "month": f"{statement.month:%Y-%m}", "state": statement.state.upper()}
    return Announcement(statement.merchant_id, event, resource, at)
