"""Transfers and holds."""

from copy import copy
from uuid import UUID

from services.points.ledger.core import lots
from services.points.ledger.core.commands import LapseHold, PostHold, Reserve, Transfer, VoidHold
from services.points.ledger.core.journal import Journal
from services.points.ledger.core.posting import (
    check_amount,
    check_floor,
    check_pair,
    check_reference,
    post,
    side,
    standing,
)
from services.points.ledger.core.state import AccountState, HoldStateRow, LotState, Result
from services.points.ledger.errors import (
    HoldAlreadyPosted,
    HoldExceeded,
    HoldLapsed,
    HoldNotFound,
    HoldVoided,
    LapseNotAhead,
    ReferenceUsed,
)
from services.points.ledger.terms import HoldState

CLOSED = {HoldState.POSTED: HoldAlreadyPosted, HoldState.VOIDED: HoldVoided, HoldState.LAPSED: HoldLapsed}


def transfer(journal: Journal, command: Transfer) -> Result:
    """Move points; where they leave a wallet, that is spending."""
    check_amount(command.amount)
    debit, credit = standing(journal, command.debit), standing(journal, command.credit)
    check_pair(debit, credit)
    check_reference(journal, command.reference)
    if debit.keeps_lots:
        lots.sweep(journal, debit)
    check_floor(debit, command.amount)
    posted = post(
        journal,
        debit,
        credit,
        command.amount,
        command.code,
        command.reference,
        command.occurred_at,
        rule=command.rule,
        text_hash=command.text_hash,
    )
    if debit.keeps_lots:
        lots.spend(journal, debit, posted)
    if credit.keeps_lots:
        lots.receive(journal, credit, posted, posted.amount)
    return Result(transfer=posted, debit=side(debit), credit=side(credit))


def reserve(journal: Journal, command: Reserve) -> Result:
    """Hold points: they cannot be spent otherwise, and do not expire."""
    check_amount(command.amount)
    debit, credit = standing(journal, command.debit), standing(journal, command.credit)
    check_pair(debit, credit)
    if command.reference in journal.state.hold_references:
        raise ReferenceUsed
    at = journal.moment(debit.ledger)
    if command.lapses_at <= at:
        raise LapseNotAhead
    if debit.keeps_lots:
        lots.sweep(journal, debit)
    check_floor(debit, command.amount)
    hold = HoldStateRow(
        id=journal.state.new_id(),
        ledger=debit.ledger,
        debit_account_id=debit.id,
        credit_account_id=credit.id,
        amount=command.amount,
        code=command.code,
        reference=command.reference,
        occurred_at=command.occurred_at,
        held_at=at,
        lapses_at=command.lapses_at,
        state=HoldState.OPEN,
        closed_at=None,
        posted_amount=None,
        lots=_hold_lots(journal, debit, command.amount),
    )
    journal.edit_account(debit)
    debit.held += command.amount
    journal.add_hold(hold)
    return Result(hold=copy(hold), debit=side(debit), credit=side(credit))


def _hold_lots(journal: Journal, debit: AccountState, amount: int) -> tuple[tuple[UUID, int], ...]:
    if not debit.keeps_lots:
        return ()
    drawn = lots.draw(journal, debit, amount)
    for lot, part in drawn:
        lot.held += part
    return tuple((lot.id, part) for lot, part in drawn)


def post_hold(journal: Journal, command: PostHold) -> Result:
    """Post a hold, all or part, and release the rest. What is held may be posted even where the wallet owes."""
    hold = _open_hold(journal, command.hold_id)
    amount = hold.amount if command.amount is None else command.amount
    check_amount(amount)
    if amount > hold.amount:
        raise HoldExceeded
    debit, credit = standing(journal, hold.debit_account_id), standing(journal, hold.credit_account_id)
    check_pair(debit, credit)
    posted = post(
        journal,
        debit,
        credit,
        amount,
        hold.code,
        f"hold/{hold.id}/post",
        command.occurred_at,
        hold_id=hold.id,
        text_hash=command.text_hash,
    )
    taken = journal.state.transfers[posted.id].taken
    rest: list[tuple[LotState, int]] = []
    for lot, held in _unhold(journal, hold, debit):
        part = min(held, amount)
        amount -= part
        if part:
            taken[lot.id] = part
            journal.allocate(posted.id, lot.id, -part)
        if held > part:
            rest.append((lot, held - part))
    _close(journal, hold, HoldState.POSTED)
    hold.posted_amount = posted.amount
    if credit.keeps_lots:
        lots.receive(journal, credit, posted, posted.amount)
    _release(journal, hold, debit, rest)
    return Result(transfer=posted, hold=copy(hold), debit=side(debit), credit=side(credit))


def void_hold(journal: Journal, command: VoidHold) -> Result:
    """Give back what a hold keeps."""
    hold = _open_hold(journal, command.hold_id)
    result = _end(journal, hold, HoldState.VOIDED)
    return result._replace(credit=side(standing(journal, hold.credit_account_id)))


def lapse_hold(journal: Journal, command: LapseHold) -> Result:
    """The same where its time is over; else nothing."""
    hold = journal.state.holds.get(command.hold_id)
    if hold is None or hold.state is not HoldState.OPEN or hold.lapses_at > journal.moment(hold.ledger):
        return Result()
    return _end(journal, hold, HoldState.LAPSED)


def _open_hold(journal: Journal, hold_id: UUID) -> HoldStateRow:
    """Raises HoldNotFound, HoldAlreadyPosted, HoldVoided, HoldLapsed (whether or not somebody swept it)."""
    hold = journal.state.holds.get(hold_id)
    if hold is None:
        raise HoldNotFound
    if hold.state is not HoldState.OPEN:
        raise CLOSED[hold.state]
    if hold.lapses_at <= journal.moment(hold.ledger):
        raise HoldLapsed
    return hold


def _end(journal: Journal, hold: HoldStateRow, state: HoldState) -> Result:
    debit = standing(journal, hold.debit_account_id)
    rest = _unhold(journal, hold, debit)
    _close(journal, hold, state)
    _release(journal, hold, debit, rest)
    return Result(hold=copy(hold), debit=side(debit))


def _unhold(journal: Journal, hold: HoldStateRow, debit: AccountState) -> list[tuple[LotState, int]]:
    """What a hold kept of each lot, the first to expire first: not held any more, and not free yet."""
    journal.edit_account(debit)
    debit.held -= hold.amount
    parts = [(journal.state.lots[lot_id], amount) for lot_id, amount in hold.lots]
    for lot, amount in parts:
        journal.edit_lot(lot)
        lot.held -= amount
    return parts


def _close(journal: Journal, hold: HoldStateRow, state: HoldState) -> None:
    journal.edit_hold(hold)
    hold.state, hold.closed_at = state, journal.moment(hold.ledger)


def _release(journal: Journal, hold: HoldStateRow, wallet: AccountState, rest: list[tuple[LotState, int]]) -> None:
    """What comes back pays what the wallet owes first; only what is left of it can be spent, or expires."""
    back: list[tuple[LotState, int]] = []
    for lot, amount in rest:
        paid = lots.pay(journal, wallet, amount)
        if paid:
            journal.allocate(hold.id, lot.id, -paid)
        if amount > paid:
            back.append((lot, amount - paid))
    lots.give_back(journal, wallet, back, hold.id)
