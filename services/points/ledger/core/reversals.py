"""Taking a transfer back, in whole or part, by another one that points at it."""

from uuid import UUID

from services.points.ledger.core import lots
from services.points.ledger.core.commands import Reverse
from services.points.ledger.core.journal import Journal, spending_order
from services.points.ledger.core.posting import account, check_pair, check_reference, post, side, standing
from services.points.ledger.core.state import AccountState, LotState, NewTransfer, PastTransfer, Result
from services.points.ledger.errors import (
    AmountNotPositive,
    NotReversible,
    ReversalExceedsTransfer,
    TransferNotFound,
)
from services.points.ledger.terms import TransferCode, expired

FINAL = frozenset({TransferCode.REVERSAL, TransferCode.MERGER, TransferCode.EXPIRY})
"""What stands once it is posted."""


def reverse(journal: Journal, command: Reverse) -> Result:
    """Take points back. A wallet may fall below its floor: what is not there any more is owed."""
    past = journal.state.transfers.get(command.transfer_id)
    if past is None:
        raise TransferNotFound
    if past.code in FINAL:
        raise NotReversible
    left = past.amount - past.reversed
    amount = left if command.amount is None else command.amount
    if command.amount is not None and amount <= 0:
        raise AmountNotPositive
    if not 0 < amount <= left:
        raise ReversalExceedsTransfer
    debit, credit = standing(journal, past.credit_account_id), standing(journal, past.debit_account_id)
    check_pair(debit, credit)
    check_reference(journal, command.reference)

    own, rest = _take_own(journal, debit, past, amount, command) if debit.keeps_lots else (0, 0)
    if rest:
        lots.sweep(journal, debit)
    posted = post(
        journal,
        debit,
        credit,
        amount,
        TransferCode.REVERSAL,
        command.reference,
        command.occurred_at,
        rule=past.rule,
        reverses_id=past.id,
        text_hash=command.text_hash,
    )
    journal.edit_past(past)
    past.reversed += amount
    if own:
        journal.allocate(posted.id, past.id, -own)
    if rest:
        journal.edit_account(debit)
        debit.debt += rest
        lots.pay_debt(journal, debit, posted.id)
    if credit.keeps_lots:
        _return(journal, credit, past, posted)
    return Result(transfer=posted, debit=side(debit), credit=side(credit))


def _take_own(
    journal: Journal, wallet: AccountState, past: PastTransfer, amount: int, command: Reverse
) -> tuple[int, int]:
    """Take from the lot that the transfer made: what is free of it, then what of it expired, back from there.

    Says how much that is, and how much of the amount is still to be found.
    """
    lot = journal.state.lots.get(past.id)
    if lot is None:
        return 0, amount
    if lot.free and lot.expires_at <= journal.moment(wallet.ledger):
        lots.expire_free(journal, wallet, lot)
    free = min(lot.free, amount)
    if free:
        lots.take_free(journal, journal.shelf(wallet.id), lot, free)
    own = free + _bring_back(journal, wallet, past, amount - free, command)
    return own, amount - own


def _bring_back(journal: Journal, wallet: AccountState, past: PastTransfer, wanted: int, command: Reverse) -> int:
    """Reverse the expiries of the transfer's lot as far as is wanted, the first one first; says how much came back.

    The reversal that wants it takes it at once: it is never free, makes no lot, and pays no debt.
    """
    journal.edit_past(past)
    found = 0
    for number, (expiry_id, left) in enumerate(tuple(past.expiries.items()), start=1):
        part = min(left, wanted - found)
        if not part:
            break
        posted = post(
            journal,
            account(journal, expired(wallet.ledger)),
            wallet,
            part,
            TransferCode.REVERSAL,
            f"{command.reference}/expiry/{number}",
            command.occurred_at,
            reverses_id=expiry_id,
        )
        journal.allocate(posted.id, past.id, part)
        lessen(past.expiries, expiry_id, part)
        expiry = journal.state.transfers.get(expiry_id)
        if expiry is not None:
            journal.edit_past(expiry)
            expiry.reversed += part
        found += part
    return found


def lessen(left: dict[UUID, int], key: UUID, amount: int) -> None:
    """Take from what is left under a key, which goes with the last of it."""
    left[key] -= amount
    if not left[key]:
        del left[key]


def _return(journal: Journal, wallet: AccountState, past: PastTransfer, posted: NewTransfer) -> None:
    """What was spent comes back: it pays what the wallet owes, then returns to its lots, the last to expire first."""
    amount = posted.amount - lots.pay(journal, wallet, posted.amount)
    back: list[tuple[LotState, int]] = []
    taken = [(journal.state.lots[lot_id], part) for lot_id, part in past.taken.items()]
    for lot, part in sorted(taken, key=lambda each: spending_order(each[0]), reverse=True):
        part = min(part, amount)
        if not part:
            break
        amount -= part
        lessen(past.taken, lot.id, part)
        journal.allocate(posted.id, lot.id, part)
        back.append((lot, part))
    lots.give_back(journal, wallet, back, posted.id)
    if amount:  # it was spent before there were lots
        lots.receive(journal, wallet, posted, amount)
