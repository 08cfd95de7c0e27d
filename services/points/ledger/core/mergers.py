"""One account takes another's place."""

from services.points.ledger.core import lots
from services.points.ledger.core.commands import Merge
from services.points.ledger.core.journal import Journal
from services.points.ledger.core.posting import account, check_reference, post, side, standing
from services.points.ledger.core.state import AccountState, NewMerger, NewTransfer, Result
from services.points.ledger.errors import AlreadyMerged, LedgersMixed
from services.points.ledger.terms import HoldState, TransferCode


def merge(journal: Journal, command: Merge) -> Result:
    """Move all there is on one account to another for good, what it owes too; what comes for it goes there too."""
    if command.old.ledger is not command.new.ledger:
        raise LedgersMixed
    old, new = account(journal, command.old), standing(journal, command.new)
    if old.merged_into_id is not None or old is new:
        raise AlreadyMerged
    check_reference(journal, command.reference)
    for wallet in (old, new):
        if wallet.keeps_lots:
            lots.sweep(journal, wallet)
    posted = _move_balance(journal, old, new, command)
    merger = NewMerger(
        id=journal.state.new_id(),
        ledger=old.ledger,
        sequence=journal.state.ledgers[old.ledger].last_sequence,
        old_account_id=old.id,
        new_account_id=new.id,
        transfer_id=posted.id if posted else None,
        reference=command.reference,
        occurred_at=command.occurred_at,
        merged_at=journal.moment(old.ledger),
    )
    journal.add_merger(merger)
    _rehome(journal, old, new)
    lots.pay_debt(journal, new, merger.id)
    return Result(transfer=posted, merger=merger, debit=side(old), credit=side(new))


def _move_balance(journal: Journal, old: AccountState, new: AccountState, command: Merge) -> NewTransfer | None:
    if not old.balance:
        return None
    debit, credit = (old, new) if old.balance > 0 else (new, old)
    return post(journal, debit, credit, abs(old.balance), TransferCode.MERGER, command.reference, command.occurred_at)


def _rehome(journal: Journal, old: AccountState, new: AccountState) -> None:
    """Lots, open holds, debt and followers. A merger is rare enough to look at all that was loaded."""
    journal.edit_account(old)
    journal.edit_account(new)
    new.held += old.held
    new.debt += old.debt
    old.held = old.debt = 0
    old.merged_into_id = new.id
    for follower in journal.state.accounts.values():
        if follower.merged_into_id == old.id:
            journal.edit_account(follower)
            follower.merged_into_id = new.id
    for lot in journal.state.lots.values():
        if lot.account_id == old.id:
            journal.edit_lot(lot)
            lot.account_id = new.id
    for hold in journal.state.holds.values():
        if hold.debit_account_id == old.id and hold.state is HoldState.OPEN:
            journal.edit_hold(hold)
            hold.debit_account_id = new.id
    journal.join_shelves(old.id, new.id)
