"""Accepting facts, many at once: what each earns is posted in the transaction that records it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

import psycopg
import structlog
from psycopg.rows import TupleRow
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.db import driver_connection, driver_errors
from services.points.awards import queries
from services.points.awards.decisions import (
    COLUMNS,
    STORED,
    Decisions,
    FactKey,
    Granted,
    Record,
    award,
    row_of,
    take_back,
)
from services.points.awards.errors import RulesChanged
from services.points.awards.facts import FACTS, ToldFact
from services.points.awards.rules import Rule, Rulebook
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Command
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.rows import copy_rows
from services.points.terms import LedgerName

log = structlog.get_logger(__name__)
Driver = psycopg.AsyncConnection[TupleRow]

_TYPES = (
    "uuid int8 int8 varchar uuid text int8 uuid uuid uuid uuid uuid varchar uuid text int8 int8 uuid timestamptz"
    " timestamptz int8"
)
# Arrays go in binary: as text each item costs several times as much, and JSON a hundred times.
_KNOWN = """
SELECT type, fact_id FROM unnest(%b::text[], %b::uuid[]) AS told (type, fact_id) JOIN fact USING (type, fact_id)
"""
_WITHDRAWN = """
SELECT told.type, told.fact_id FROM unnest(%b::text[], %b::uuid[]) AS told (type, fact_id)
JOIN fact ON fact.withdraws = told.type AND fact.fact_id = told.fact_id
"""
_OF_SUBJECTS = """
SELECT fact.type, fact.position, fact.data FROM unnest(%b::uuid[], %b::text[]) AS about (subject_id, type)
JOIN fact ON fact.subject_id = about.subject_id AND fact.type = about.type
WHERE NOT EXISTS (SELECT FROM fact AS w WHERE w.withdraws = fact.type AND w.fact_id = fact.fact_id)
ORDER BY fact.position
"""
_STANDING = f"""
SELECT {STORED} FROM award JOIN fact ON fact.position = award.fact_position
WHERE award.subject_id = ANY(%b) AND award.withdrawn_at IS NULL
"""  # noqa: S608  # columns of ours
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
            older = await self._read(driver, list(new.values()))
            positions = await _insert(driver, at, list(new.values()))
        self._new = {key: Record(fact, positions[key], _awards(book, fact)) for key, fact in new.items()}
        for position, fact in older:
            record = Record(fact, position, _awards(book, fact))
            self._decisions.of_subjects.setdefault((fact.subject_id, fact.type), []).append(record)
        return self._needs()

    async def _read(self, driver: Driver, new: Sequence[ToldFact]) -> list[tuple[int, ToldFact]]:
        """What is withdrawn already, what stands, and the earlier facts that may take the place of withdrawn ones."""
        told = [(fact.type, fact.fact_id) for fact in new if fact.withdraws is None]
        about = {(fact.subject_id, fact.withdraws) for fact in new if fact.withdraws is not None}
        async with driver.pipeline():
            withdrawn = await driver.cursor(binary=True).execute(_WITHDRAWN, _columns(told))
            standing = await driver.cursor(binary=True).execute(_STANDING, [list({fact.subject_id for fact in new})])
            older = await driver.cursor(binary=True).execute(_OF_SUBJECTS, _columns(about))
            self._decisions.withdrawn.update(cast(list[FactKey], await withdrawn.fetchall()))
            for row in await standing.fetchall():
                self._decisions.stand(Granted.read(row))
            found = await older.fetchall()
        return [(position, FACTS[type_].model_validate(data)) for type_, position, data in found if type_ in FACTS]

    def _needs(self) -> Needs:
        """What of the ledger the facts may touch, whatever becomes of each."""
        older = [record for found in self._decisions.of_subjects.values() for record in found]
        asked: list[Command] = [one for record in (*self._new.values(), *older) for _, one in record.awards]
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
                await driver.execute(_WITHDRAW, _columns(rows))
            await copy_rows(driver, "award", COLUMNS, _TYPES, list(map(row_of, self._decisions.granted)))


async def _unknown(driver: Driver, told: Sequence[ToldFact]) -> dict[FactKey, ToldFact]:
    by_key: dict[FactKey, ToldFact] = {}
    for fact in told:
        by_key.setdefault((fact.type, fact.fact_id), fact)
    cursor = driver.cursor(binary=True)
    for key in await (await cursor.execute(_KNOWN, _columns(by_key))).fetchall():
        del by_key[cast(FactKey, key)]
    return by_key


async def _insert(driver: Driver, at: datetime, new: Sequence[ToldFact]) -> dict[FactKey, int]:
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
    cursor = await driver.cursor(binary=True).execute(_INSERT, [at, *_columns(rows)])
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


def _columns(rows: Collection[tuple[Any, ...]]) -> list[list[Any]]:
    return list(map(list, zip(*rows, strict=True))) if rows else [[], []]
