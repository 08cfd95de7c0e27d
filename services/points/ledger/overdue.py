"""What the ledger does when time has passed: points expire, holds lapse, and households are told before.

Nothing waits for it. What is overdue cannot be spent, and a hold whose time is over cannot be posted, whether or not it
was swept; a run that dies in the middle has done what it has done, and the next one does the rest.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.errors import DomainError
from chassis.core.messages import publish_all
from chassis.core.runtime import Runtime
from services.points.ledger import queries
from services.points.ledger.actions import Posting
from services.points.ledger.core.commands import Command, ExpireLot, LapseHold
from services.points.ledger.messages import PointsExpiring
from services.points.ledger.tables import ExpiryNotice
from services.points.ledger.writer import Writer

log = structlog.get_logger(__name__)

AT_ONCE = 300
"""How much is done in one transaction: others who post wait for some hundredths of a second."""
NOTICE = timedelta(days=30)
"""How long before their points expire households are told."""


async def expire(runtime: Runtime, now: datetime, *, at_once: int = AT_ONCE) -> int:
    """Let all lots expire that are due, in the order of their expiry. Returns how many did; others may be doing it too.

    Raises Unavailable where the database is busy or away.
    """
    return await _sweep(runtime, now, queries.overdue_lots, ExpireLot, at_once)


async def lapse(runtime: Runtime, now: datetime, *, at_once: int = AT_ONCE) -> int:
    """Let all holds lapse whose time is over, likewise. Returns how many did."""
    return await _sweep(runtime, now, queries.overdue_holds, LapseHold, at_once)


async def _sweep(
    runtime: Runtime, now: datetime, overdue: queries.Overdue, command: Callable[[UUID], Command], at_once: int
) -> int:
    done, after = 0, None
    while True:
        async with runtime.db.transaction() as session:
            due = await overdue(session, now, after=after, limit=at_once)
        if not due:
            return done
        after = due[-1]
        done += await _carry_out(runtime, [command(id_) for _, id_ in due])


async def _carry_out(runtime: Runtime, commands: Sequence[Command]) -> int:
    """Carry out commands in one transaction; says how many of them changed anything.

    Where one makes the database fail, the others are carried out all the same, and it is logged.
    """
    writer = Writer(runtime.db, runtime.vault, runtime.metrics)
    done = 0
    for command, answer in zip(commands, await writer.submit_all(Posting, commands), strict=True):
        if isinstance(answer, DomainError):
            log.error("overdue_remains", command=str(command), reason=answer.code)
        else:
            done += any(result.transfer or result.hold for result in answer)
    return done


async def tell(runtime: Runtime, now: datetime, *, at_once: int = AT_ONCE) -> int:
    """Publish for every household and moment within the next thirty days how many of its points expire then.

    Each is told of once, however often and by how many at once this runs. Returns how many facts were published.
    """
    told, after = 0, None
    while True:
        async with runtime.db.transaction() as session:
            lots = await queries.untold_lots(session, now, now + NOTICE, after=after, limit=at_once)
            if not lots:
                return told
            after = (lots[-1].expires_at, lots[-1].id)
            facts = await _note(session, {(lot.account_id, lot.expires_at) for lot in lots}, now)
            await publish_all(session, facts)
        told += len(facts)


async def _note(session: AsyncSession, wallets: set[tuple[UUID, datetime]], now: datetime) -> list[PointsExpiring]:
    """Note that these wallets are told; the facts for those that nobody else has told at the same time."""
    expiring = await queries.free_until(session, wallets)
    if not expiring:
        return []
    notices = [
        {"account_id": account.id, "expires_at": expires_at, "points": points, "told_at": now}
        for account, expires_at, points in expiring
    ]
    noted = await session.execute(
        insert(ExpiryNotice)
        .values(notices)
        .on_conflict_do_nothing()
        .returning(ExpiryNotice.account_id, ExpiryNotice.expires_at)
    )
    ours = {(account_id, expires_at) for account_id, expires_at in noted}
    return [
        PointsExpiring(occurred_at=now, household_id=account.owner_id, points=points, expires_at=expires_at)
        for account, expires_at, points in expiring
        if (account.id, expires_at) in ours
    ]
