"""The one place where points move: two accounts, a number, and the row that says so."""

from datetime import datetime
from uuid import UUID

from services.points.ledger.core.commands import AccountRef
from services.points.ledger.core.journal import Journal
from services.points.ledger.core.state import AccountState, NewTransfer, PastTransfer, Side
from services.points.ledger.errors import (
    AccountNotFound,
    AmountNotPositive,
    AmountTooLarge,
    InsufficientPoints,
    LedgersMixed,
    ReferenceUsed,
    SameAccount,
)
from services.points.ledger.terms import AccountKey, TransferCode

LARGEST_AMOUNT = 2**53 - 1
"""What every JSON reader can tell from its neighbours."""
LARGEST_BALANCE = 2**63 - 1


def check_amount(amount: int) -> None:
    """Raises AmountNotPositive, AmountTooLarge."""
    if amount <= 0:
        raise AmountNotPositive
    if amount > LARGEST_AMOUNT:
        raise AmountTooLarge


def check_reference(journal: Journal, reference: str) -> None:
    """A transfer's reference is used once, for ever: raises ReferenceUsed."""
    if reference in journal.state.references:
        raise ReferenceUsed


def check_pair(debit: AccountState, credit: AccountState) -> None:
    """Raises LedgersMixed, SameAccount."""
    if debit.ledger is not credit.ledger:
        raise LedgersMixed
    if debit is credit:
        raise SameAccount


def check_floor(debit: AccountState, amount: int) -> None:
    """Whoever spends must have it, holds counted: raises InsufficientPoints."""
    if debit.floor is not None and debit.balance - debit.held - amount < debit.floor:
        raise InsufficientPoints


def account(journal: Journal, ref: AccountRef) -> AccountState:
    """The account itself, merged or not; one named by its key is opened where it is new. Raises AccountNotFound."""
    if isinstance(ref, UUID):
        known = journal.state.accounts.get(ref)
        if known is None:
            raise AccountNotFound
        return known
    account_id = ref.id
    return journal.state.accounts.get(account_id) or _open(journal, ref, account_id)


def standing(journal: Journal, ref: AccountRef) -> AccountState:
    """The account that postings to this one go to: itself, or the one that took its place. Raises AccountNotFound."""
    found = account(journal, ref)
    while found.merged_into_id is not None:
        found = journal.state.accounts[found.merged_into_id]
    return found


def _open(journal: Journal, key: AccountKey, account_id: UUID) -> AccountState:
    opened = AccountState(
        id=account_id,
        ledger=key.ledger,
        owner_kind=key.owner_kind,
        owner_id=key.owner_id,
        purpose=key.purpose,
        floor=key.floor,
        balance=0,
        held=0,
        debt=0,
        version=0,
        opened_at=journal.moment(key.ledger),
        merged_into_id=None,
    )
    journal.add_account(opened)
    return opened


def side(account: AccountState) -> Side:
    """An account as an answer tells it."""
    return Side(account.id, account.balance, account.balance - account.held, account.version)


def post(
    journal: Journal,
    debit: AccountState,
    credit: AccountState,
    amount: int,
    code: TransferCode,
    reference: str,
    occurred_at: datetime,
    *,
    rule: tuple[str, int] | None = None,
    reverses_id: UUID | None = None,
    hold_id: UUID | None = None,
    text_hash: bytes | None = None,
) -> NewTransfer:
    """Move points between two accounts that stand. What becomes of lots, debts and holds is the caller's.

    Raises ReferenceUsed; AmountTooLarge where a balance would be beyond what is stored.
    """
    check_reference(journal, reference)
    if credit.balance + amount > LARGEST_BALANCE or debit.balance - amount < -LARGEST_BALANCE:
        raise AmountTooLarge
    ledger = journal.state.ledgers[debit.ledger]
    transfer = NewTransfer(  # by position: half the time, for what every posting does
        journal.state.new_id(),
        ledger.name,
        ledger.last_sequence + 1,
        debit.id,
        debit.version + 1,
        debit.balance - amount,
        credit.id,
        credit.version + 1,
        credit.balance + amount,
        amount,
        code,
        reference,
        occurred_at,
        journal.moment(ledger.name),
        rule,
        reverses_id,
        hold_id,
        text_hash,
    )
    past = PastTransfer(transfer.id, ledger.name, debit.id, credit.id, amount, code, rule, 0, {}, {})
    journal.add_transfer(transfer, past, ledger, debit, credit)
    return transfer
