"""When months end, who settles them, and what may be done with a statement. Pure."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from uuid import UUID

from chassis.core.actor import Actor
from chassis.core.beijing import BEIJING, day_of
from chassis.core.workdays import working_day_after
from services.points.registry.rules import manages
from services.points.settlement.errors import (
    AdjustmentDecided,
    AdjustmentPending,
    AmountDiffers,
    BankReferenceNeeded,
    BankReferenceUsed,
    DayNotOver,
    DisputeOpen,
    DisputeTooLate,
    EarlierMonthOpen,
    NotConfirmed,
    OwnAdjustment,
    OwnMerchant,
    PaidAlready,
    StatementClosed,
    StatementNotFound,
)
from services.points.settlement.tables import Adjustment, Statement
from services.points.settlement.terms import AdjustmentState, StatementState, Unsettled

READY_AT = time(10)
"""From this hour of the next day, in Beijing, there is a day's bill; and of the next month's first, its statement."""

DAYS_TO_DISPUTE = 5
"""Working days, the one on which a statement is made not counted."""


def midnight(day: date) -> datetime:
    """The moment at which a day begins in Beijing."""
    return datetime.combine(day, time(), BEIJING)


def next_month(month: date) -> date:
    """The first day of the month after."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1)


def month_of(moment: datetime) -> date:
    """The first day of the month in Beijing."""
    return day_of(moment).replace(day=1)


def ready_at(last_day: date) -> datetime:
    """When what ends with this day can be drawn up: at ten o'clock of the next day."""
    return datetime.combine(last_day + timedelta(days=1), READY_AT, BEIJING)


def is_ready(last_day: date, at: datetime) -> bool:
    """Whether what ends with this day can be drawn up at a moment."""
    return at >= ready_at(last_day)


def check_ready(day: date, at: datetime) -> None:
    """Raises DayNotOver."""
    if not is_ready(day, at):
        raise DayNotOver


def months_ready(first: date, at: datetime) -> Iterator[date]:
    """The months, from this one on, whose statements can be drawn up at a moment."""
    while is_ready(next_month(first) - timedelta(days=1), at):
        yield first
        first = next_month(first)


def confirms_at(made_at: datetime) -> datetime:
    """The midnight that ends the fifth working day after a statement was made, or changed."""
    return midnight(working_day_after(day_of(made_at), DAYS_TO_DISPUTE) + timedelta(days=1))


def may_see(actor: Actor, merchant_id: UUID) -> bool:
    """Administrators and auditors see what is settled with every merchant, managers with their own."""
    return actor.has("administrator", "auditor") or manages(actor, merchant_id)


def check_may_answer_for(actor: Actor, statement: Statement) -> None:
    """Whether somebody speaks for the merchant. Raises StatementNotFound: others' statements are not told of."""
    if not manages(actor, statement.merchant_id):
        raise StatementNotFound


def check_may_settle(actor: Actor, merchant_id: UUID) -> None:
    """Whether an administrator decides about a merchant. Raises OwnMerchant."""
    if actor.organisation_id == merchant_id:
        raise OwnMerchant


def check_draft(statement: Statement) -> None:
    """Raises StatementClosed."""
    if statement.state is not StatementState.DRAFT:
        raise StatementClosed


def check_disputable(statement: Statement, unsettled: Unsettled, at: datetime) -> None:
    """Raises StatementClosed, DisputeOpen, DisputeTooLate."""
    check_draft(statement)
    if unsettled.disputed:
        raise DisputeOpen
    if at >= statement.confirms_at:
        raise DisputeTooLate


def check_confirmable(statement: Statement, unsettled: Unsettled) -> None:
    """Raises StatementClosed, DisputeOpen, AdjustmentPending, EarlierMonthOpen."""
    check_draft(statement)
    if unsettled.disputed:
        raise DisputeOpen
    if unsettled.adjustment_pending:
        raise AdjustmentPending
    if unsettled.earlier_draft:
        raise EarlierMonthOpen


def check_decidable(adjustment: Adjustment, actor: Actor) -> None:
    """Whether somebody decides on an adjustment. Raises AdjustmentDecided, OwnAdjustment."""
    if adjustment.state is not AdjustmentState.PENDING:
        raise AdjustmentDecided
    if adjustment.proposed_by == actor.id:
        raise OwnAdjustment


def covered(statement: Statement, of_merchant: Sequence[Statement]) -> list[Statement]:
    """The months that are paid with a statement: it and the confirmed ones before it, of the same merchant's.

    So a month that comes to less than nothing is made up for by a later one. Raises PaidAlready, NotConfirmed.
    """
    if statement.state is StatementState.PAID:
        raise PaidAlready
    if statement.state is not StatementState.CONFIRMED:
        raise NotConfirmed
    return [each for each in of_merchant if each.state is StatementState.CONFIRMED and each.month <= statement.month]


def check_payment(months: Sequence[Statement], amount_fen: int, bank_reference: str | None, used: set[str]) -> None:
    """Raises AmountDiffers, BankReferenceNeeded, BankReferenceUsed."""
    due_fen = sum(month.due_fen for month in months)
    if amount_fen != due_fen:
        raise AmountDiffers(due_fen)
    if bank_reference is None and due_fen:
        raise BankReferenceNeeded
    if bank_reference in used:
        raise BankReferenceUsed
