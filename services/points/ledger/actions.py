"""Posting to the ledgers: commands, and the use cases that belong with a posting, many at once in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.errors import DomainError
from services.points.ledger import rows
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Command, Linked
from services.points.ledger.core.state import LedgerState, Result
from services.points.ledger.loading import load
from services.points.ledger.needs import Needs, ledgers_of, needs_of
from services.points.ledger.queries import lock_ledgers
from services.points.terms import LedgerName

Request = TypeVar("Request")
Answer = TypeVar("Answer")
Request_contra = TypeVar("Request_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class Deed(Protocol[Request_contra, Answer_co]):
    """A use case that belongs with a posting, for many requests at once. One instance serves one batch.

    `ledgers` are those that it posts to, locked while it runs.
    """

    @property
    def ledgers(self) -> Collection[LedgerName]: ...

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Request_contra], /) -> Needs:
        """Read what the requests need beyond the ledger, in sets, and say what of the ledger they may touch."""
        ...

    def decide(self, book: Book, request: Request_contra, /) -> Answer_co:
        """Carry out one request, in memory; raise a DomainError to refuse it.

        What it did to the book is undone then; its own state it changes only after the last thing that may raise.
        """
        ...

    async def write(self, session: AsyncSession, /) -> None:
        """Write what was decided, in sets. The ledger's rows are written already."""
        ...


class Posting:
    """Commands by themselves: each, or each linked group of them, is answered with its results."""

    def __init__(self, ledgers: Collection[LedgerName] = tuple(LedgerName)) -> None:
        self.ledgers = ledgers

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Command | Linked], /) -> Needs:
        """What the commands name."""
        return needs_of(requests)

    def decide(self, book: Book, request: Command | Linked, /) -> tuple[Result, ...]:
        """Apply a command, or all of a group. Raises what the core refuses."""
        commands = request.commands if isinstance(request, Linked) else (request,)
        return tuple([book.apply(command) for command in commands])

    async def write(self, session: AsyncSession, /) -> None:
        """There is nothing beside the ledger."""


async def carry_out_all(
    session: AsyncSession,
    parts: Sequence[tuple[Deed[Any, Any], Sequence[Any]]],
    ledgers: Mapping[LedgerName, LedgerState],
) -> list[list[Any | DomainError]]:
    """Carry out several deeds' requests in the caller's transaction, under the locks of these `ledgers` that it has
    just taken (`lock_ledgers`): one load, one writing of rows.

    For each deed, an answer or a refusal for each of its requests; a refused one changes nothing and does not touch
    its neighbours. Raises DBAPIError where the database fails: then nothing of it may be committed.
    """
    at, needs = clock.now(), Needs()
    for deed, requests in parts:
        needs.add(await deed.prepare(session, at, requests))
    book = Book(await load(session, at, ledgers, needs))
    answers = [[_decide(book, deed, request) for request in requests] for deed, requests in parts]
    await rows.write(session, book.changes)
    for deed, _ in parts:
        await deed.write(session)
    rows.leave_evidence(session, book.changes)
    return answers


async def carry_out(
    session: AsyncSession, deed: Deed[Request, Answer], requests: Sequence[Request]
) -> list[Answer | DomainError]:
    """The same for one deed, whose ledgers are locked first."""
    [answers] = await carry_out_all(session, [(deed, requests)], await lock_ledgers(session, deed.ledgers))
    return answers


async def post(session: AsyncSession, command: Command) -> Result:
    """Carry out one command in the caller's transaction, or raise the DomainError that refuses it."""
    [answer] = await carry_out(session, Posting(ledgers_of(command)), [command])
    if isinstance(answer, DomainError):
        raise answer
    [result] = answer
    return result


def _decide(book: Book, deed: Deed[Any, Answer], request: Any) -> Answer | DomainError:
    try:
        with book.together():
            return deed.decide(book, request)
    except DomainError as refusal:
        return refusal
