"""What keeps the boards up with the ledger while nobody reads them."""

import asyncio

from chassis.core.runtime import Runtime
from services.points.boards import actions
from services.points.terms import LedgerName

PAUSE_SECONDS = 1.0


async def follow(runtime: Runtime) -> None:
    """Follow both ledgers for ever, a stride a transaction. Of several processes one does it, whichever is first.

    It looks by itself, since whoever reads the boards sooner brings them up to date anyway.
    """
    while True:
        for ledger in LedgerName:
            more = True
            while more:
                async with runtime.db.transaction() as session:
                    more = await actions.follow_once(session, ledger)
        await asyncio.sleep(PAUSE_SECONDS)
