"""Following the ledger: what was posted goes onto the boards, in the order of numbers, a set at a time.

The score of a subject is the sum of what was awarded and credited to it less what was reversed of that, each in the
period in which it was posted. On the board of all time also less what expired of those awards, and plus what a reversal
took back from the expired account. A household that joined another is that other one from then on, on the
boards of past periods too: what was, and will be, credited to it is its heir's (they are one family, and the family
finds all its points in one place). Who has nothing is not on the board.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from services.points.boards import queries
from services.points.boards.errors import BoardsBehind
from services.points.boards.terms import Mark
from services.points.terms import LedgerName

T = TypeVar("T")

STRIDE = 5_000
"""How many transfers are followed at once."""
MOST_BEHIND = 20_000
"""How far behind the boards may be for a reader to bring them up to date: some seconds' work."""


async def read(
    session: AsyncSession, ledger: LedgerName, ask: Callable[[], Awaitable[tuple[Mark, T]]]
) -> tuple[Mark, T]:
    """What `ask` answers from the boards, once they have followed the ledger to its last committed transfer.

    Mostly they have, and nothing is locked. Otherwise they are brought up to date first, in this transaction, and the
    answer is of the number reached. Raises BoardsBehind where that is too much for a reader.
    """
    mark, answer = await ask()
    if mark.current:
        return mark, answer
    if mark.behind > MOST_BEHIND:
        raise BoardsBehind
    after = await queries.lock_mark(session, ledger)
    assert after is not None
    await _follow(session, ledger, after, await queries.last_sequence(session, ledger))
    return await ask()


async def follow_once(session: AsyncSession, ledger: LedgerName) -> bool:
    """Bring a ledger's boards one stride further, unless somebody else does so now; whether more is left to do."""
    if (await queries.mark_of(session, ledger)).current:
        return False
    after = await queries.lock_mark(session, ledger, wait=False)
    if after is None:
        return False
    last = await queries.last_sequence(session, ledger)
    upto = min(after + STRIDE, last)
    await _follow(session, ledger, after, upto)
    return upto < last


async def _follow(session: AsyncSession, ledger: LedgerName, after: int, last: int) -> None:
    """Follow the ledger from one number to another, under the boards' lock."""
    while True:
        upto = min(after + STRIDE, last)
        for old, new in await queries.unfollowed_mergers(session, ledger, after, upto):
            await queries.follow_merger(session, ledger, old, new)
        if upto == after:
            return
        await queries.follow_transfers(session, ledger, after, upto)
        after = upto
