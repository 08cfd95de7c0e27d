"""What is read of the ledger, and its one lock."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog
from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.db import driver_connection, driver_errors
from services.points.ledger.core.state import LedgerState
from services.points.ledger.errors import ClockAhead
from services.points.ledger.tables import Account, ExpiryNotice, Hold, Lot
from services.points.ledger.terms import HoldState
from services.points.terms import LedgerName, OwnerKind

log = structlog.get_logger(__name__)

# A connection keeps the plans of its statements while the tables grow: what was planned in a ledger's first minute must
# not read whole tables in its second one. So none of this transaction's does.
_LOCK = """
SELECT name, last_sequence, last_posted_at, clock_timestamp(), set_config('enable_seqscan', 'off', true) FROM ledger
WHERE name = ANY(%s) ORDER BY name FOR UPDATE
"""
CLOCKS_APART = timedelta(minutes=1)
"""How far our clock may be ahead of the database's, waiting for the lock included."""


async def lock_ledgers(
    session: AsyncSession, names: Collection[LedgerName] = tuple(LedgerName)
) -> dict[LedgerName, LedgerState]:
    """Lock ledgers against other writers until the transaction ends; several in the order of their names.

    Being a statement of its own, it makes what is read after it include what the last writer committed.
    Everything else that a posting touches is guarded by this lock, so nothing else needs one and nothing
    can deadlock. Raises ClockAhead.
    """
    driver = await driver_connection(session)
    with driver_errors(driver):
        rows = await (await driver.execute(_LOCK, [[name.value for name in names]])).fetchall()
    for *_, database_time, _ in rows:
        _check_clock(database_time)
    return {
        LedgerName(name): LedgerState(LedgerName(name), last_sequence, last_posted_at)
        for name, last_sequence, last_posted_at, *_ in rows
    }


def _check_clock(database_time: datetime) -> None:
    """Whether our clock is not far ahead of the one that all machines share. (It decides nothing else.) One that is
    behind does no harm: what is posted by it is dated like the last that was posted.
    """
    ahead = clock.now() - database_time
    if ahead > CLOCKS_APART and not clock.is_frozen():
        log.error("clock_ahead", seconds=int(ahead.total_seconds()))
        raise ClockAhead


async def accounts_by_id(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Account]:
    """Those of the accounts that were ever posted to, as they are now."""
    found = await session.scalars(select(Account).where(Account.id.in_(ids)).execution_options(populate_existing=True))
    return {account.id: account for account in found}


class Overdue(Protocol):
    """When things were due, and their ids: so many of them after the last one that was seen."""

    async def __call__(
        self, session: AsyncSession, now: datetime, *, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[tuple[datetime, UUID]]: ...


async def overdue_lots(
    session: AsyncSession, now: datetime, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[tuple[datetime, UUID]]:
    """When lots expired of which something is free still, and their ids: so many after the last one that was seen.

    This order never changes for a lot, whoever spends of it or takes over its wallet meanwhile, so none is missed.
    """
    lots = select(Lot.expires_at, Lot.id).where(Lot.live, Lot.free > 0, Lot.expires_at <= now)
    if after:
        lots = lots.where(tuple_(Lot.expires_at, Lot.id) > after)
    return [(at, id_) for at, id_ in await session.execute(lots.order_by(Lot.expires_at, Lot.id).limit(limit))]


async def overdue_holds(
    session: AsyncSession, now: datetime, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[tuple[datetime, UUID]]:
    """The same of open holds whose time is over."""
    holds = select(Hold.lapses_at, Hold.id).where(Hold.state == HoldState.OPEN, Hold.lapses_at <= now)
    if after:
        holds = holds.where(tuple_(Hold.lapses_at, Hold.id) > after)
    return [(at, id_) for at, id_ in await session.execute(holds.order_by(Hold.lapses_at, Hold.id).limit(limit))]


async def untold_lots(
    session: AsyncSession, now: datetime, until: datetime, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Lot]:
    """Lots of households with anything free that expire by then, where these were not told of that moment."""
    told = select(ExpiryNotice).where(
        ExpiryNotice.account_id == Lot.account_id, ExpiryNotice.expires_at == Lot.expires_at
    )
    lots = (
        select(Lot)
        .join(Account, Account.id == Lot.account_id)
        .where(
            Account.owner_kind == OwnerKind.HOUSEHOLD,
            Lot.live,
            Lot.free > 0,
            Lot.expires_at > now,
            Lot.expires_at <= until,
        )
        .where(~told.exists())
    )
    if after:
        lots = lots.where(tuple_(Lot.expires_at, Lot.id) > after)
    return (await session.scalars(lots.order_by(Lot.expires_at, Lot.id).limit(limit))).all()


async def free_until(
    session: AsyncSession, wallets: Collection[tuple[UUID, datetime]]
) -> Sequence[tuple[Account, datetime, int]]:
    """For each wallet and moment of expiry that are asked for, how many of its points are free until then."""
    rows = await session.execute(
        select(Account, Lot.expires_at, func.sum(Lot.free))
        .join(Lot, Lot.account_id == Account.id)
        .where(tuple_(Lot.account_id, Lot.expires_at).in_(wallets), Lot.live, Lot.free > 0)
        .group_by(Account.id, Lot.expires_at)
        .order_by(Account.id, Lot.expires_at)
    )
    return [(account, expires_at, int(points)) for account, expires_at, points in rows]
