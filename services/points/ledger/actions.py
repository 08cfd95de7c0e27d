"""Posting to a ledger: within the caller's transaction, so that a posting and its cause commit together."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.ledger import queries, rules
from services.points.ledger.rules import Posting
from services.points.ledger.tables import Account, Ledger, Transfer
from services.points.ledger.terms import AccountKey, TransferCode


async def post(session: AsyncSession, posting: Posting) -> Transfer:
    """Move points, opening the accounts where they are new.

    Raises InsufficientPoints where the debit account would fall below its floor. A reference that was used
    before violates `uq_transfer_reference`.
    """
    ledger = (await queries.lock_ledgers(session, [posting.debit.ledger]))[posting.debit.ledger]
    debit, credit = await _open_accounts(session, posting.debit, posting.credit)
    rules.check_floor(debit, posting.amount)
    rule_code, rule_version = posting.rule or (None, None)
    transfer = Transfer(
        debit_account_id=debit.id,
        credit_account_id=credit.id,
        amount=posting.amount,
        code=posting.code,
        reference=posting.reference,
        occurred_at=posting.occurred_at,
        rule_code=rule_code,
        rule_version=rule_version,
        reverses_id=None,
    )
    await _write(session, ledger, transfer, debit, credit)
    return transfer


async def reverse(
    session: AsyncSession, transfer: Transfer, amount: int, *, reference: str, occurred_at: datetime
) -> Transfer:
    """Take `amount` points of a transfer back, by a new transfer that points at it.

    The balance may fall below the floor: what was spent already is owed. Raises ReversalExceedsTransfer.
    """
    ledger = (await queries.lock_ledgers(session, [transfer.ledger]))[transfer.ledger]
    rules.check_reversal(transfer, await queries.amount_reversed(session, transfer.id), amount)
    accounts = await queries.accounts_by_id(session, [transfer.debit_account_id, transfer.credit_account_id])
    debit, credit = accounts[transfer.credit_account_id], accounts[transfer.debit_account_id]
    reversal = Transfer(
        debit_account_id=debit.id,
        credit_account_id=credit.id,
        amount=amount,
        code=TransferCode.REVERSAL,
        reference=reference,
        occurred_at=occurred_at,
        rule_code=transfer.rule_code,
        rule_version=transfer.rule_version,
        reverses_id=transfer.id,
    )
    await _write(session, ledger, reversal, debit, credit)
    return reversal


async def _open_accounts(session: AsyncSession, *keys: AccountKey) -> list[Account]:
    accounts = await queries.accounts_by_id(session, [key.id for key in keys])
    for key in keys:
        if key.id not in accounts:
            accounts[key.id] = Account.open(key, clock.now())
            session.add(accounts[key.id])
    await session.flush()
    return [accounts[key.id] for key in keys]


async def _write(session: AsyncSession, ledger: Ledger, transfer: Transfer, debit: Account, credit: Account) -> None:
    ledger.last_sequence += 1
    transfer.id = new_id()
    transfer.ledger = ledger.name
    transfer.sequence = ledger.last_sequence
    transfer.posted_at = clock.now()
    session.add(transfer)
    await session.flush()  # without relationships the unit of work cannot tell that entries come after their transfer
    session.add_all(rules.entries(transfer, debit, credit))
    await session.flush()
