"""Accounts and their entries as their owners see them, now and at any moment before."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from chassis.core import clock
from chassis.core.actor import Actor
from services.points.awards.facts import FACTS
from services.points.awards.tables import Award, Fact
from services.points.households.queries import household_of
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.tables import Account, Allocation, Lot, Transfer, TransferText
from services.points.ledger.terms import TransferCode
from services.points.statements import rules
from services.points.statements.errors import AccountNotFound
from services.points.statements.terms import EVERYTHING, Range, Standing, Which
from services.points.terms import LedgerName

# What was held of an account at a moment. An open hold moves on when its wallet is merged into another, and says no
# more whose it was: the lots that it allocated do, by the account that each was credited to, and mergers until then.
_HELD_AT = text("""
WITH RECURSIVE heirs (id) AS (
    SELECT CAST(:account AS uuid)
    UNION SELECT new_account_id FROM merger JOIN heirs ON old_account_id = heirs.id
), family (id) AS (
    SELECT CAST(:account AS uuid) WHERE NOT EXISTS (
        SELECT FROM merger WHERE old_account_id = :account AND merged_at <= :at)
    UNION SELECT old_account_id FROM merger JOIN family ON new_account_id = family.id WHERE merged_at <= :at
)
SELECT coalesce(sum(amount), 0)::bigint FROM heirs CROSS JOIN LATERAL (
    SELECT id, amount, held_at FROM hold WHERE debit_account_id = heirs.id AND state = 'open'
    UNION ALL
    SELECT id, amount, held_at FROM hold WHERE debit_account_id = heirs.id AND closed_at > :at
) held
WHERE held_at <= :at
    AND coalesce((SELECT credit_account_id FROM transfer
        WHERE id = (SELECT lot_id FROM hold_lot WHERE hold_id = held.id LIMIT 1)), heirs.id)
    IN (SELECT id FROM family)
""")


async def own_accounts(session: AsyncSession, actor: Actor, ledger: LedgerName | None) -> list[Standing]:
    """The actor's accounts, of one ledger or both. One that was never posted to is shown, not written."""
    actor = await _as_of_now(session, actor)
    keys = [key for key in rules.own_wallets(actor) if ledger in (None, key.ledger)]
    opened = await accounts_by_id(session, [key.id for key in keys])
    return [await standing(session, opened.get(key.id) or Account.open(key, clock.now())) for key in keys]


async def readable_account(session: AsyncSession, actor: Actor, account_id: UUID) -> Account:
    """An account that the actor may read. Raises AccountNotFound."""
    actor = await _as_of_now(session, actor)
    account = (await accounts_by_id(session, [account_id])).get(account_id)
    if account is None:
        own = {key.id: key for key in rules.own_wallets(actor)}
        account = Account.open(own[account_id], clock.now()) if account_id in own else None
    if account is None or not rules.may_read(actor, account):
        raise AccountNotFound
    return account


async def _as_of_now(session: AsyncSession, actor: Actor) -> Actor:
    """The actor with the household that is theirs now, whatever their token says: without one where they have left."""
    return replace(actor, household_id=await household_of(session, actor))


async def standing(session: AsyncSession, account: Account) -> Standing:
    """An account as it is now."""
    overdue = await _overdue(session, account, clock.now())
    return Standing(account, account.balance, account.held, overdue, account.version)


async def standing_at(session: AsyncSession, account: Account, at: datetime) -> Standing:
    """An account as it was at a moment: its last entry by then is looked up, nothing is added up but its holds."""
    end = await number_at(session, account.ledger, at, after=True)
    found = (await session.scalars(sides(account.id, Range(0, end), (), 1))).first()
    balance, version = (0, 0) if found is None else _after(found, account.id)
    held = await session.scalar(_HELD_AT, {"account": account.id, "at": at})
    overdue = await _overdue(session, account, at) + await _swept_later(session, account, at, end)
    return Standing(account, balance, int(held or 0), overdue, version)


async def _overdue(session: AsyncSession, account: Account, at: datetime) -> int:
    """What of an account's lots is free, and due by `at`."""
    if not rules.key_of(account).keeps_lots:
        return 0
    due = select(func.sum(Lot.free)).where(Lot.account_id == account.id, Lot.live, Lot.expires_at <= at)
    return int(await session.scalar(due) or 0)


async def _swept_later(session: AsyncSession, account: Account, at: datetime, end: int) -> int:
    """What was due by `at` and free, and went to the expired account after that.

    What came back after its time and expired at once was not free: its reference says so by a third part.
    """
    if not rules.key_of(account).keeps_lots:
        return 0
    swept = select(func.sum(Transfer.amount)).where(
        Transfer.debit_account_id == account.id,
        Transfer.code == TransferCode.EXPIRY,
        Transfer.sequence >= end,
        Transfer.occurred_at <= at,
        func.split_part(Transfer.reference, "/", 3) == "",
    )
    return int(await session.scalar(swept) or 0)


async def expiring(session: AsyncSession, account: Account) -> Sequence[tuple[datetime, int, int]]:
    """When the account's points expire: (moment, free, held), the first first. What is due already is among them."""
    rows = await session.execute(
        select(Lot.expires_at, func.sum(Lot.free), func.sum(Lot.held))
        .where(Lot.account_id == account.id, Lot.live)
        .group_by(Lot.expires_at)
        .order_by(Lot.expires_at)
    )
    return [(moment, int(free), int(held)) for moment, free, held in rows]


async def number_at(session: AsyncSession, ledger: LedgerName, moment: datetime, *, after: bool) -> int:
    """The first number of a ledger that was posted at a moment or later (`after`: later than it); past all, if none.

    Numbers follow the time of posting, so this makes every question about time one about numbers.
    """
    posted_at = Transfer.posted_at > moment if after else Transfer.posted_at >= moment
    first = select(Transfer.sequence).where(Transfer.ledger == ledger, posted_at)
    found = await session.scalar(first.order_by(Transfer.posted_at, Transfer.sequence).limit(1))
    return EVERYTHING.end if found is None else int(found)


async def numbers_between(
    session: AsyncSession, ledger: LedgerName, from_: datetime | None, to: datetime | None
) -> Range:
    """The numbers of what was posted from a moment on and before another."""
    first = await number_at(session, ledger, from_, after=False) if from_ else EVERYTHING.first
    end = await number_at(session, ledger, to, after=False) if to else EVERYTHING.end
    return Range(first, end)


async def entries(
    session: AsyncSession, account_id: UUID, which: Which, numbers: Range, limit: int, *, oldest_first: bool = False
) -> Sequence[Transfer]:
    """The transfers from and to an account that are looked for, the last posted first, or the first."""
    wanted = await conditions(session, which)
    return (await session.scalars(sides(account_id, numbers, wanted, limit, oldest_first=oldest_first))).all()


async def count_entries(session: AsyncSession, account_id: UUID, numbers: Range, most: int) -> int:
    """How many transfers from and to an account there are in a range of numbers; not counted beyond so many."""
    found = sides(account_id, numbers, [], most).subquery()
    return (await session.execute(select(func.count()).select_from(found))).scalar_one()


async def conditions(session: AsyncSession, which: Which) -> list[ColumnElement[bool]]:
    """What a transfer must be like to be looked for."""
    found: list[ColumnElement[bool]] = []
    if which.code is not None:
        found.append(Transfer.code == which.code)
    if which.reference is not None:
        found.append(Transfer.reference == which.reference)
    if which.fact is not None:
        earned = await transfers_of_fact(session, which.fact)
        found.append(or_(Transfer.id.in_(earned), Transfer.reverses_id.in_(earned)))
    return found


def sides(
    account_id: UUID,
    numbers: Range,
    further: Collection[ColumnElement[bool]],
    limit: int,
    *,
    oldest_first: bool = False,
) -> Select[Transfer]:
    """The last (or first) transfers from an account and those to it, each by its index, merged."""
    found = [
        page([side == account_id, *further], numbers, limit, oldest_first=oldest_first).subquery().select()
        for side in (Transfer.debit_account_id, Transfer.credit_account_id)
    ]
    both = aliased(Transfer, union_all(*found).subquery())
    return select(both).order_by(both.sequence if oldest_first else both.sequence.desc()).limit(limit)


def page(
    where: Collection[ColumnElement[bool]], numbers: Range, limit: int, *, oldest_first: bool = False
) -> Select[Transfer]:
    """The last (or first) transfers of a range of numbers."""
    of_range = (Transfer.sequence >= numbers.first, Transfer.sequence < numbers.end)
    order = Transfer.sequence if oldest_first else Transfer.sequence.desc()
    return select(Transfer).where(*where, *of_range).order_by(order).limit(limit)


async def transfers_of_fact(session: AsyncSession, fact_id: UUID) -> Sequence[UUID]:
    """The transfers by which a fact was awarded, by the id that its teller calls it by."""
    awarded = (
        select(Award.transfer_id)
        .join(Fact, Fact.position == Award.fact_position)
        .where(Fact.type.in_(list(FACTS)), Fact.fact_id == fact_id, Award.transfer_id.is_not(None))
    )
    return [id_ for id_ in await session.scalars(awarded) if id_ is not None]


def _after(transfer: Transfer, account_id: UUID) -> tuple[int, int]:
    """An account's balance and version after a transfer of its own."""
    if transfer.debit_account_id == account_id:
        return transfer.debit_balance, transfer.debit_version
    return transfer.credit_balance, transfer.credit_version


async def expiries_among(session: AsyncSession, transfer_ids: Collection[UUID]) -> set[UUID]:
    """Those of the transfers by which points expired."""
    if not transfer_ids:
        return set()
    expired = select(Transfer.id).where(Transfer.id.in_(transfer_ids), Transfer.code == TransferCode.EXPIRY)
    return set(await session.scalars(expired))


async def lots_of(session: AsyncSession, expiries: Collection[UUID]) -> dict[UUID, UUID]:
    """Of each expiry, and of what took one back, the lot that it is about."""
    if not expiries:
        return {}
    about = select(Allocation.cause_id, Allocation.lot_id).where(Allocation.cause_id.in_(expiries))
    return dict((await session.execute(about)).all())


async def awards_by(session: AsyncSession, transfer_ids: Collection[UUID]) -> Sequence[tuple[Award, Fact]]:
    """The awards that were posted by these transfers, each with its fact."""
    awarded = select(Award, Fact).join(Fact, Fact.position == Award.fact_position)
    rows = await session.execute(awarded.where(Award.transfer_id.in_(transfer_ids)))
    return [(award, fact) for award, fact in rows]


async def words_of(session: AsyncSession, transfer_ids: Collection[UUID]) -> dict[UUID, str]:
    """Why these transfers were posted, where that was said and is not erased."""
    if not transfer_ids:
        return {}
    said = select(TransferText.transfer_id, TransferText.words).where(TransferText.transfer_id.in_(transfer_ids))
    return dict((await session.execute(said)).all())
