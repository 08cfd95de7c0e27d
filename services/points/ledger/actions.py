"""Posting to a ledger: within the caller's transaction, so that a posting and its cause commit together.

Whatever is posted to an account that was merged into another goes to that other one.
"""

from datetime import datetime

from sqlalchemy import update
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
    debit, credit = await queries.posting_accounts(session, [transfer.credit_account_id, transfer.debit_account_id])
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


async def merge(
    session: AsyncSession, old: AccountKey, new: AccountKey, *, reference: str, occurred_at: datetime
) -> Transfer | None:
    """Move all there is on one account to another, a debt too, and let the other take its place for ever.

    What was merged into the old account before follows it. There is no transfer where nothing was on it. Neither
    may have been merged into the other before.
    """
    ledger = (await queries.lock_ledgers(session, [old.ledger]))[old.ledger]
    source, target = await _open_accounts(session, old, new)
    assert source.id == old.id != target.id, "an account is merged once, and into another"
    transfer = _merger(source, target, reference, occurred_at) if source.balance else None
    if transfer:
        debit, credit = (source, target) if transfer.debit_account_id == source.id else (target, source)
        await _write(session, ledger, transfer, debit, credit)
    source.merged_into_id = target.id
    followers = update(Account).where(Account.merged_into_id == source.id).values(merged_into_id=target.id)
    await session.execute(followers)
    await session.flush()
    return transfer


def _merger(source: Account, target: Account, reference: str, occurred_at: datetime) -> Transfer:
    debit, credit = (source, target) if source.balance > 0 else (target, source)
    return Transfer(
        debit_account_id=debit.id,
        credit_account_id=credit.id,
        amount=abs(source.balance),
        code=TransferCode.MERGER,
        reference=reference,
        occurred_at=occurred_at,
        rule_code=None,
        rule_version=None,
        reverses_id=None,
    )


async def _open_accounts(session: AsyncSession, *keys: AccountKey) -> list[Account]:
    known = await queries.accounts_by_id(session, [key.id for key in keys])
    session.add_all([Account.open(key, clock.now()) for key in keys if key.id not in known])
    await session.flush()
    return await queries.posting_accounts(session, [key.id for key in keys])


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
