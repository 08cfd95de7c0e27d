"""Accounts and their entries as their owners see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from services.points.awards.queries import order_numbers
from services.points.awards.tables import Award
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.tables import Account, Entry, Transfer
from services.points.statements import rules
from services.points.statements.errors import AccountNotFound
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a statement: an entry, its transfer, and what the points were for."""

    entry: Entry
    transfer: Transfer
    order_id: UUID | None
    order_number: str | None
    withheld: int


async def own_accounts(session: AsyncSession, actor: Actor, ledger: LedgerName | None) -> list[Account]:
    """The actor's accounts, of one ledger or both. One that was never posted to is shown, not written."""
    keys = [key for key in rules.own_wallets(actor) if ledger in (None, key.ledger)]
    opened = await accounts_by_id(session, [key.id for key in keys])
    return [opened.get(key.id) or Account.open(key, clock.now()) for key in keys]


async def readable_account(session: AsyncSession, actor: Actor, account_id: UUID) -> Account:
    """An account that the actor may read. Raises AccountNotFound."""
    account = (await accounts_by_id(session, [account_id])).get(account_id)
    if account is None:
        own = {key.id: key for key in rules.own_wallets(actor)}
        account = Account.open(own[account_id], clock.now()) if account_id in own else None
    if account is None or not rules.may_read(actor, account):
        raise AccountNotFound
    return account


async def lines(session: AsyncSession, account_id: UUID, before_version: int | None, limit: int) -> Sequence[Line]:
    """An account's entries before a version of it, newest first. A reversal is for its original's order."""
    query = (
        select(Entry, Transfer, Award.order_id, Award.points_due - Award.points)
        .join(Transfer, Transfer.id == Entry.transfer_id)
        .outerjoin(Award, Award.transfer_id == func.coalesce(Transfer.reverses_id, Transfer.id))
        .where(Entry.account_id == account_id)
        .order_by(Entry.version.desc())
        .limit(limit)
    )
    if before_version is not None:
        query = query.where(Entry.version < before_version)
    rows = (await session.execute(query)).all()
    numbers = await order_numbers(session, {order_id for _, _, order_id, _ in rows if order_id})
    return [
        Line(entry, transfer, order_id, numbers.get(order_id) if order_id else None, withheld or 0)
        for entry, transfer, order_id, withheld in rows
    ]
