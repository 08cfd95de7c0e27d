"""Carrying out a batch: in one transaction, again where that may help, and by halves where one in it is at fault.

What is answered under an `Idempotency-Key` is looked up and kept in the same transaction, in sets.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import idempotency
from chassis.core.crypto import Vault
from chassis.core.db import Database, OutcomeUnknown, is_contention, is_lost, is_retryable, unavailable
from chassis.core.errors import DomainError, Unavailable
from chassis.core.idempotency import AnsweredMeanwhile, Reply, RequestKey
from services.points.ledger.actions import Deed, carry_out, carry_out_all
from services.points.ledger.core.state import LedgerState
from services.points.ledger.errors import NotCarriedOut
from services.points.ledger.queries import lock_ledgers
from services.points.terms import LedgerName

log = structlog.get_logger(__name__)

Request = TypeVar("Request")
Answer = TypeVar("Answer")
DeedOf = Callable[[], Deed[Request, Answer]]
"""Makes the deed of a batch. What comes with equal ones in one batch is carried out by one deed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an item: an answer or a refusal for each request (none where it was answered before)."""

    answers: Sequence[Any]
    reply: Reply | None = None
    repeated: bool = False


@dataclass(slots=True, eq=False)
class Item:
    """What one caller has asked for. It is carried out in one transaction, never in two.

    One that is to be answered by HTTP is one request: `render` makes the answer, which is kept under its `key`.
    """

    deed: DeedOf[Any, Any]
    requests: Sequence[Any]
    size: int
    outcome: asyncio.Future[Outcome]
    key: RequestKey | None = None
    render: Callable[[Any], Reply] | None = None
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    arrived: float = field(default_factory=time.perf_counter)
    begun: bool = False

    @property
    def name(self) -> object:
        """What two in one batch must not have in common."""
        return (self.key.caller, self.key.operation, self.key.key) if self.key else self

    def refuse(self, error: Exception) -> None:
        """Tell whoever waits, if somebody still does."""
        if not self.outcome.done():
            self.outcome.set_exception(error)


Outcomes = dict[Item, Outcome | DomainError]


class Batches:
    """Carries out one batch after another on a database."""

    def __init__(self, db: Database, vault: Vault) -> None:
        self._db = db
        self._vault = vault

    async def settle(self, batch: list[Item]) -> None:
        """Carry out a batch and answer everybody in it. Where it fails for the fault of one, that one is found by
        halves, and only it fails.
        """
        error = await self._try(batch)
        if error is None:
            return
        if _is_nobodys_fault(error):
            log.warning("database_busy", size=len(batch), reason=type(getattr(error, "orig", error)).__name__)
        elif len(batch) > 1:
            log.warning("batch_taken_apart", size=len(batch), reason=type(error).__name__)
            middle = len(batch) // 2
            await self.settle(batch[:middle])
            await self.settle(batch[middle:])
            return
        elif len(batch[0].requests) > 1:
            error = await self._try(batch, apart=True)
        if error is not None:
            for item in batch:
                item.refuse(_told(error))

    async def _try(self, batch: list[Item], *, apart: bool = False) -> Exception | None:
        """Carry out a batch in a transaction, again where that may help. Returns why it failed.

        With `apart`, the one item's requests are kept from one another by savepoints.
        """
        for last in (False, False, True):
            try:
                outcomes = await self._carry_out(batch, apart=apart)
            except Exception as error:
                if last or not _may_be_tried_again(error):
                    return error
                continue
            for item, outcome in outcomes.items():
                if isinstance(outcome, DomainError):
                    item.refuse(outcome)
                elif not item.outcome.done():
                    item.outcome.set_result(outcome)
            return None
        raise AssertionError("unreachable")

    async def _carry_out(self, batch: list[Item], *, apart: bool) -> Outcomes:
        """One transaction: what was answered before is looked up under the ledgers' locks, the rest is carried out."""
        deeds = {item.deed: item.deed() for item in batch}
        keys = [item.key for item in batch if item.key]
        async with self._db.sessions() as session:
            ledgers = await lock_ledgers(session, {name for deed in deeds.values() for name in deed.ledgers})
            # In a statement after the lock, so that it sees what the last batch has answered.
            outcomes = self._repeated(batch, await idempotency.answered(session, keys))
            fresh = [item for item in batch if item not in outcomes]
            if apart:
                answers = [await _carry_out_apart(session, item.deed, item.requests) for item in fresh]
            else:
                answers = await _carry_out_together(session, deeds, fresh, ledgers)
            outcomes |= {item: _rendered(item, own) for item, own in zip(fresh, answers, strict=True)}
            await idempotency.keep(session, self._kept(outcomes))
            await self._db.commit(session)
        return outcomes

    def _repeated(self, batch: list[Item], answered: dict[RequestKey, Any]) -> Outcomes:
        outcomes: Outcomes = {}
        for item in batch:
            answer = answered.get(item.key) if item.key else None
            if isinstance(answer, DomainError):
                outcomes[item] = answer
            elif answer is not None and item.key:
                outcomes[item] = Outcome([], Reply.opened(self._vault, item.key, answer), repeated=True)
        return outcomes

    def _kept(self, outcomes: Outcomes) -> list[tuple[RequestKey, idempotency.Answer]]:
        return [
            (item.key, outcome.reply.sealed(self._vault, item.key))
            for item, outcome in outcomes.items()
            if item.key and isinstance(outcome, Outcome) and outcome.reply and not outcome.repeated
            if not (isinstance(refusal := outcome.answers[0], DomainError) and not refusal.repeats)
        ]


def _rendered(item: Item, answers: list[Any]) -> Outcome:
    """With the reply to send, made in the caller's context: a problem names their request."""
    if item.render is None:
        return Outcome(answers)
    [answer] = answers
    return Outcome(answers, item.context.run(item.render, answer))


async def _carry_out_together(
    session: AsyncSession,
    deeds: dict[DeedOf[Any, Any], Deed[Any, Any]],
    items: list[Item],
    ledgers: Mapping[LedgerName, LedgerState],
) -> list[list[Any]]:
    """The answers to each item's requests, in the order of the items."""
    of_deed: dict[DeedOf[Any, Any], list[Item]] = {}
    for item in items:
        of_deed.setdefault(item.deed, []).append(item)
    parts = [(deeds[deed], [request for item in same for request in item.requests]) for deed, same in of_deed.items()]
    if not parts:
        return []
    answers: dict[Item, list[Any]] = {}
    for same, found in zip(of_deed.values(), await carry_out_all(session, parts, ledgers), strict=True):
        rest = iter(found)
        for item in same:
            answers[item] = [next(rest) for _ in item.requests]
    return [answers[item] for item in items]


async def _carry_out_apart(session: AsyncSession, deed: DeedOf[Any, Any], requests: Sequence[Any]) -> list[Any]:
    """The same for one item of which some request makes the database fail: that one is found by halves and refused."""
    try:
        async with session.begin_nested():
            return await carry_out(session, deed(), requests)
    except Exception as error:
        if _is_nobodys_fault(error) or _may_be_tried_again(error):
            raise
        if len(requests) == 1:
            log.error("not_carried_out", exc_info=error)
            return [NotCarriedOut()]
    middle = len(requests) // 2
    first = await _carry_out_apart(session, deed, requests[:middle])
    return first + await _carry_out_apart(session, deed, requests[middle:])


def _may_be_tried_again(error: Exception) -> bool:
    """Whether the transaction did nothing, and another one may well go through."""
    return is_retryable(error) or is_lost(error) or isinstance(error, AnsweredMeanwhile)


def _is_nobodys_fault(error: Exception) -> bool:
    """Whether each of the batch would fail in the same way by itself."""
    return is_contention(error) or isinstance(error, Unavailable | AnsweredMeanwhile)


def _told(error: Exception) -> Exception:
    """What a caller is told of a failure that is shared by all: an exception for each, since each is raised."""
    if isinstance(error, OutcomeUnknown):
        return OutcomeUnknown()
    return unavailable() if _is_nobodys_fault(error) else error
