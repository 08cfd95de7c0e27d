"""What may be posted and what becomes of the balances."""

from dataclasses import dataclass
from datetime import datetime

from services.points.ledger.errors import InsufficientPoints, LedgersMixed, ReversalExceedsTransfer
from services.points.ledger.tables import Account, Entry, Transfer
from services.points.ledger.terms import AccountKey, TransferCode


@dataclass(frozen=True, slots=True)
class Posting:
    """What is asked of the ledger: `amount` points from `debit` to `credit`.

    `reference` names the cause and is accepted once, for ever. `rule` is the code and version of an
    award's rule.
    """

    debit: AccountKey
    credit: AccountKey
    amount: int
    code: TransferCode
    reference: str
    occurred_at: datetime
    rule: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        if self.debit.ledger is not self.credit.ledger:
            raise LedgersMixed


def check_floor(debit: Account, amount: int) -> None:
    """Whoever spends must have it: raises InsufficientPoints. (A reversal is not spending.)"""
    if debit.floor is not None and debit.available - amount < debit.floor:
        raise InsufficientPoints


def check_reversal(transfer: Transfer, reversed_already: int, amount: int) -> None:
    """A transfer is reversed in whole or in part, never beyond: raises ReversalExceedsTransfer."""
    if not 0 < amount <= transfer.amount - reversed_already:
        raise ReversalExceedsTransfer


def entries(transfer: Transfer, debit: Account, credit: Account) -> tuple[Entry, Entry]:
    """Both sides of a transfer, applied to its accounts. What one loses the other gains."""
    return debit.apply(transfer, -transfer.amount), credit.apply(transfer, transfer.amount)
