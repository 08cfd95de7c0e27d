"""Accepting facts, many at once: what each earns is posted in the transaction that records it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.db import driver_connection, driver_errors
from services.points.awards import queries
from services.points.awards.decisions import (
    COLUMNS,
    Decisions,
    FactKey,
    Record,
    award,
    by_household,
    count_families,
    households_with_caps,
    row_of,
    take_back,
)
from services.points.awards.errors import RulesChanged
from services.points.awards.facts import ToldFact
from services.points.awards.rules import Rule, Rulebook
from services.points.households.queries import ONE_FAMILY
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Command
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.rows import copy_rows
from services.points.terms import LedgerName

log = structlog.get_logger(__name__)

_TYPES = (
    "uuid int8 int8 varchar uuid text int8 uuid uuid uuid uuid uuid varchar uuid text int8 int8 uuid timestamptz"
    " timestamptz int8"
)
_EVER = 2**62
# Arrays go in binary: as text each item costs several times as much, and JSON a hundred times.
_INSERT = """
INSERT INTO fact (type, fact_id, withdraws, subject_kind, subject_id, subject_label, activity_id, occurred_at,
    accepted_at, data)
SELECT type, fact_id, withdraws, subject_kind, subject_id, subject_label, activity_id, occurred_at, %b, data::jsonb
FROM unnest(%b::text[], %b::uuid[], %b::text[], %b::text[], %b::uuid[], %b::text[], %b::uuid[], %b::timestamptz[],
    %b::text[]) WITH ORDINALITY
    AS told (type, fact_id, withdraws, subject_kind, subject_id, subject_label, activity_id, occurred_at, data, place)
ORDER BY place RETURNING type, fact_id, position
"""
_WITHDRAW = """
UPDATE award SET withdrawn_at = gone.at, withdrawn_position = gone.position
FROM unnest(%b::uuid[], %b::timestamptz[], %b::int8[]) AS gone (id, at, position) WHERE award.id = gone.id
"""


def earning_type(fact: ToldFact) -> str:
    """The type whose awards a fact concerns: its own, or the one that it withdraws."""
    return fact.withdraws or fact.type


class Acceptance:
    """A deed: facts are recorded in the order given; each earns what its rules give, or takes back what the fact that
    it withdraws has earned.

    The same fact again changes nothing, nor does a fact whose withdrawal came first. One award stands for a subject
    and rule; when it is withdrawn, the subject's next fact of that type earns it instead.
    """

    def __init__(self, ledgers: Collection[LedgerName]) -> None:
        self.ledgers = ledgers
        self._at: datetime
        self._new: dict[FactKey, Record] = {}
        self._decisions = Decisions()

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[ToldFact], /) -> Needs:
        """Record what is new, and read what deciding it takes: in six statements, however many there are.

        Raises RulesChanged where a rule now pays into a ledger that is not locked.
        """
        self._at = at
        book = await queries.rulebook(session, {earning_type(fact) for fact in requests})
        if not book.ledgers <= set(self.ledgers):
            raise RulesChanged
        driver = await driver_connection(session)
        with driver_errors(driver):
            new = await _unknown(driver, requests)
            before = await queries.before(driver, list(new.values()))
            positions = await _insert(driver, at, list(new.values()))
        self._new = {key: Record(fact, positions[key], _awards(book, fact)) for key, fact in new.items()}
        self._decisions.withdrawn |= before.withdrawn
        for standing in before.standing:
            self._decisions.stand(standing)
        for position, fact in before.older:
            record = Record(fact, position, _awards(book, fact))
            self._decisions.of_subjects.setdefault((fact.subject_id, fact.type), []).append(record)
        await self._count_families(driver)
        return self._needs()

    async def _count_families(self, driver: queries.Driver) -> None:
        """Most rules have no caps of households, and most households have not joined another."""
        records = self._records()
        if asked := households_with_caps(records):
            with driver_errors(driver):
                cursor = driver.cursor(binary=True)
                found = await cursor.execute(ONE_FAMILY, {"households": list(asked), "before": _EVER})
                count_families(records, by_household(await found.fetchall()))

    def _records(self) -> list[Record]:
        return [*self._new.values(), *(one for found in self._decisions.of_subjects.values() for one in found)]

    def _needs(self) -> Needs:
        """What of the ledger the facts may touch, whatever becomes of each."""
        asked: list[Command] = [one for record in self._records() for _, one in record.awards]
        gone = {(fact.withdraws, fact.fact_id): fact for fact in (record.fact for record in self._new.values())}
        standing = [(one, gone.get(one.fact_key)) for one in self._decisions.standing.values()]
        asked += [take_back(one, withdrawal) for one, withdrawal in standing if withdrawal]
        return needs_of(asked)

    def decide(self, book: Book, request: ToldFact, /) -> None:
        """Accept one fact, if it is new."""
        if record := self._new.pop((request.type, request.fact_id), None):
            self._decisions.accept(book, record, self._at)

    async def write(self, session: AsyncSession, /) -> None:
        """The awards that were granted, and that others are withdrawn."""
        driver = await driver_connection(session)
        new = {one.id for one in self._decisions.granted}
        gone = [one for one in self._decisions.taken_back if one.id not in new]
        with driver_errors(driver):
            if gone:
                rows = [(one.id, one.withdrawn_at, one.withdrawn_position) for one in gone]
                await driver.execute(_WITHDRAW, queries.columns_of(rows))
            await copy_rows(driver, "award", COLUMNS, _TYPES, list(map(row_of, self._decisions.granted)))


async def _unknown(driver: queries.Driver, told: Sequence[ToldFact]) -> dict[FactKey, ToldFact]:
    by_key: dict[FactKey, ToldFact] = {}
    for fact in told:
        by_key.setdefault((fact.type, fact.fact_id), fact)
    for key in await queries.known(driver, by_key):
        del by_key[key]
    return by_key


async def _insert(driver: queries.Driver, at: datetime, new: Sequence[ToldFact]) -> dict[FactKey, int]:
    if not new:
        return {}
    rows = [
        (
            fact.type,
            fact.fact_id,
            fact.withdraws,
            fact.subject_kind.value,
            fact.subject_id,
            fact.subject_label,
            getattr(fact, "activity_id", None),
            fact.occurred_at,
            fact.model_dump_json(),
        )
        for fact in new
    ]
    cursor = await driver.cursor(binary=True).execute(_INSERT, [at, *queries.columns_of(rows)])
    return {(type_, fact_id): position for type_, fact_id, position in await cursor.fetchall()}


def _awards(book: Rulebook, fact: ToldFact) -> list[Any]:
    """What a fact earns. A rule that gives no answer for it gives nothing, and somebody must look at that rule."""

    def failed(rule: Rule, reason: str) -> None:
        log.error(
            "rule_failed",
            rule=rule.code,
            version=rule.version,
            fact_type=fact.type,
            fact_id=str(fact.fact_id),
            reason=reason,
        )

    return [(merit, award(merit, fact)) for merit in book.merits(fact, failed)]
