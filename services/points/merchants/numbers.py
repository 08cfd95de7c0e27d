"""查询请求结果: what became of a request under a merchant's number, once that is certain."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.db import Database
from chassis.core.errors import Unavailable
from chassis.core.turnstile import Turnstile
from services.points.deps import AtTheWriter
from services.points.ledger.core.book import Book
from services.points.ledger.needs import Needs
from services.points.merchants import queries
from services.points.merchants.errors import NumberInProgress, RequestNotFound
from services.points.merchants.numbered import NumberedRequests
from services.points.merchants.schemas import RequestOut
from services.points.merchants.terms import NumberKey

WAIT_SECONDS = 5
"""How long one waits for what is under way, under a number."""


class Lookups:
    """The deed that changes nothing: behind the ledger's lock, whatever was under way under a number is answered.

    Refuses with RequestNotFound.
    """

    ledgers = NumberedRequests.ledgers

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[NumberKey], /) -> Needs:
        """The answers under these numbers."""
        self._found = await queries.requests_under(session, set(requests))
        return Needs()

    def decide(self, book: Book, number: NumberKey, /) -> RequestOut:
        """The first answer under a number."""
        found = self._found.get(number)
        if found is None:
            raise RequestNotFound
        return RequestOut.of(found)

    async def write(self, session: AsyncSession, /) -> None:
        """Nothing."""


async def look_up(db: Database, turns: Turnstile, writer: AtTheWriter, number: NumberKey) -> RequestOut:
    """The first answer under a number. Where there is none yet, whatever is under way is waited for: here, then at the
    ledger, in queues in which nobody holds a connection. Raises RequestNotFound; NumberInProgress after five seconds.
    """
    async with db.transaction() as session:
        found = await queries.requests_under(session, {number})
        if found:
            return RequestOut.of(found[number])
    try:
        async with asyncio.timeout(WAIT_SECONDS), turns.turn(number):
            return await writer.submit(Lookups, number)
    except (TimeoutError, Unavailable):
        raise NumberInProgress from None
