"""What is read of the ledger, and its one lock."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.ledger.tables import Account, Ledger, Transfer
from services.points.terms import LedgerName


async def lock_ledgers(
    session: AsyncSession, names: Collection[LedgerName] = tuple(LedgerName)
) -> dict[LedgerName, Ledger]:
    """Lock ledgers against other writers until the transaction ends; several in the order of their names.

    Being a statement of its own, it makes what is read after it include what the last writer committed.
    Everything else that a posting touches is guarded by this lock, so nothing else needs one and nothing
    can deadlock.
    """
    found = await session.scalars(
        select(Ledger)
        .where(Ledger.name.in_(names))
        .order_by(Ledger.name)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {ledger.name: ledger for ledger in found}


async def accounts_by_id(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Account]:
    """Those of the accounts that were ever posted to, as they are now."""
    found = await session.scalars(select(Account).where(Account.id.in_(ids)).execution_options(populate_existing=True))
    return {account.id: account for account in found}


async def posting_accounts(session: AsyncSession, ids: Sequence[UUID]) -> list[Account]:
    """The accounts that postings to these go to: they themselves, or the ones they were merged into."""
    accounts = await accounts_by_id(session, ids)
    merged = {account.merged_into_id for account in accounts.values() if account.merged_into_id}
    if merged:
        accounts |= await accounts_by_id(session, merged)
    return [accounts[accounts[id_].merged_into_id or id_] for id_ in ids]


async def amount_reversed(session: AsyncSession, transfer_id: UUID) -> int:
    """How much of a transfer has been reversed so far."""
    total = await session.scalar(select(func.sum(Transfer.amount)).where(Transfer.reverses_id == transfer_id))
    return int(total or 0)
