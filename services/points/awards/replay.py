"""Recomputing every award from the stored facts, in the order of their acceptance, and telling what differs.

It goes in parts, each in a snapshot of its own, while the system runs: what was recorded before a part is what it
starts from (the parts before have shown that to be right), so no more than a part is in memory. A part ends where a
version of a rule was approved, or a household joined another. The expressions are evaluated anew, and the decisions
made by the very code that makes them when facts are accepted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow

from services.points.awards.decisions import (
    Decisions,
    Granted,
    Record,
    award,
    by_household,
    count_families,
    households_with_caps,
)
from services.points.awards.facts import FACTS
from services.points.awards.recorded import (
    EARLIER,
    FACTS_AFTER,
    GONE,
    JOINED_AFTER,
    MERGERS,
    RECORDED,
    STANDING,
    TRANSFERS,
    USED,
    WITHDRAWN,
    Connection,
    read_rules,
)
from services.points.households.queries import ONE_FAMILY
from services.points.ledger.core.commands import Award, CapKey, TakeBack
from services.points.ledger.core.state import Result
from services.points.ledger.terms import issuance

PART = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """That an award is not what a replay makes of it: which, and in what."""

    award: str
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: all facts up to `position` of `last` were replayed, `facts` of them."""

    position: int
    last: int
    facts: int
    differences: list[Difference]


def replay(url: str) -> Iterator[Progress]:
    """Replay all facts that were accepted when it begins; tells after each part how far it is and what differs."""
    with psycopg.connect(url, options="-c search_path=points -c timezone=UTC", connect_timeout=5) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            last = int(_one(connection, "SELECT coalesce(max(position), 0) FROM fact")[0])
        position = facts = 0
        while position < last:
            with connection.transaction():
                part = _Part(connection, position, last)
                differences = list(part.differences())
            position, facts = part.end, facts + len(part.records)
            yield Progress(position, last, facts, differences)


def _one(connection: Connection, query: LiteralString) -> TupleRow:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


class _Caps:
    """What stands for the ledger: it grants what caps leave, and posts nothing."""

    def __init__(self, used: dict[CapKey, int]) -> None:
        self._used = used

    def apply(self, command: Award | TakeBack, /) -> Result:
        if isinstance(command, TakeBack):
            if command.cap:
                self._used[command.cap] = max(0, self._used.get(command.cap, 0) - command.granted)
            return Result(granted=command.granted)
        granted = command.due
        if command.cap:
            cap, limit = command.cap
            used = sum(self._used.get(key, 0) for key in (cap, *command.beside))
            granted = max(0, min(granted, limit - used))
            self._used[cap] = self._used.get(cap, 0) + granted
        return Result(granted=granted)


class _Part:
    """The facts after a position, decided again from what was recorded before them."""

    def __init__(self, connection: Connection, after: int, last: int) -> None:
        self._connection = connection
        self._rules = read_rules(connection)
        [[joined]] = self._rows(JOINED_AFTER, [after])
        ends = {*self._rules.approved_after, joined or last}
        until = min((position for position in ends if after < position), default=last)
        rows = connection.execute(FACTS_AFTER, [after, min(until, last), PART]).fetchall()
        self.first: int = rows[0][0] if rows else after
        self.end: int = rows[-1][0] if rows else min(until, last)
        self.records = [record for row in rows if (record := self._record(row))]

    def _record(self, row: TupleRow) -> Record | None:
        """A stored fact, and what it earns under the rules that were approved before this part."""
        position, type_, _, data = row
        kind = FACTS.get(type_)
        if kind is None:
            return None
        fact = kind.model_validate(data)
        merits = self._rules.merits(fact, lambda *_: None, position=self.first) if fact.withdraws is None else []
        return Record(fact, position, [(merit, award(merit, fact)) for merit in merits])

    def differences(self) -> Iterator[Difference]:
        """What is recorded otherwise, and what the ledger has otherwise."""
        decisions = self._decide()
        recorded = [Granted.read(row) for row in self._rows(RECORDED, {"first": self.first, "last": self.end})]
        yield from _compared(decisions.granted, recorded)
        yield from self._withdrawals(decisions)
        yield from self._transfers(recorded)

    def _rows(self, query: str, parameters: Any) -> list[TupleRow]:
        return self._connection.cursor(binary=True).execute(query, parameters).fetchall()

    def _decide(self) -> Decisions:
        facts = [record.fact for record in self.records]
        decisions = Decisions()
        told = [(fact.type, fact.fact_id) for fact in facts]
        about = {(fact.subject_id, fact.withdraws) for fact in facts if fact.withdraws is not None}
        earlier = self._rows(EARLIER, [*_columns(about), self.first])
        told += [(type_, fact_id) for _, type_, fact_id, _ in earlier]
        decisions.withdrawn.update((row[0], row[1]) for row in self._rows(WITHDRAWN, [*_columns(told), self.first]))
        for row in earlier:
            if record := self._record(row):
                decisions.of_subjects.setdefault((record.fact.subject_id, record.fact.type), []).append(record)
        subjects = list({fact.subject_id for fact in facts})
        for row in self._rows(STANDING, [subjects, self.first, self.first]):
            decisions.stand(Granted.read(row))
        records = [*self.records, *(record for found in decisions.of_subjects.values() for record in found)]
        if households := households_with_caps(records):
            found = self._rows(ONE_FAMILY, {"households": list(households), "before": self.first})
            count_families(records, by_household(found))
        caps = _Caps(self._used(decisions, records))
        for record in self.records:
            decisions.accept(caps, record, record.fact.occurred_at)
        return decisions

    def _used(self, decisions: Decisions, records: list[Record]) -> dict[CapKey, int]:
        """What was gone of the caps that these facts may touch."""
        asked = [one for record in records for _, one in record.awards]
        caps = {key for one in asked if one.cap for key in (one.cap[0], *one.beside)}
        caps |= {one.cap for one in decisions.standing.values() if one.cap}
        keys = [(cap.rule_code, cap.scope, cap.holder_id, cap.period) for cap in caps]
        if not keys:
            return {}
        rows = self._rows(USED, [*_columns(keys), self.first, self.first])
        return {CapKey(code, scope, holder, period): used for code, scope, holder, period, used in rows}

    def _withdrawals(self, decisions: Decisions) -> Iterator[Difference]:
        expected = {(one.fact_position, one.rule_code): one.withdrawn_position for one in decisions.taken_back}
        for id_, fact_position, code, position in self._rows(GONE, [self.first, self.end]):
            due = expected.pop((fact_position, code), None)
            if due != position:
                yield Difference(str(id_), f"is withdrawn by fact {position}; replayed: {_or_not(due)}")
        for (fact_position, code), position in expected.items():
            yield Difference(f"of fact {fact_position} under {code}", f"stands; replayed: withdrawn by fact {position}")

    def _transfers(self, recorded: list[Granted]) -> Iterator[Difference]:
        posted = {row[0]: row[1:] for row in self._rows(TRANSFERS, [[one.transfer_id for one in recorded]])}
        mergers = self._mergers({one.account_id for one in recorded})
        for one in recorded:
            if one.transfer_id is None:
                continue
            row = posted.get(one.transfer_id)
            if row is None:
                yield Difference(str(one.id), f"its transfer {one.transfer_id} is not there")
                continue
            *told, sequence, taken_back = row
            ledger = self._rules.ledger_of(one.rule_code)
            debit = issuance(ledger).id if ledger else None
            reference = f"award/{one.rule_code}/{one.fact_key[1]}"
            credit = _standing(mergers, one.account_id, sequence)
            due = [debit, credit, one.points, "award", reference, one.occurred_at, one.rule_code, one.rule_version]
            if told != due:
                yield Difference(str(one.id), f"its transfer {one.transfer_id} is {_shown(told)}, not {_shown(due)}")
            elif one.withdrawn_position is not None and taken_back != one.points:
                yield Difference(str(one.id), f"is withdrawn, and {taken_back} of {one.points} points were taken back")

    def _mergers(self, accounts: set[UUID]) -> dict[UUID, tuple[UUID, int]]:
        found: dict[UUID, tuple[UUID, int]] = {}
        while accounts:
            rows = self._rows(MERGERS, [list(accounts)])
            found |= {old: (new, sequence) for old, new, sequence in rows}
            accounts = {new for _, new, _ in rows} - found.keys()
        return found


def _standing(mergers: dict[UUID, tuple[UUID, int]], account_id: UUID, sequence: int) -> UUID:
    """The account that stood in another's place when a number of the ledger was given."""
    while (merger := mergers.get(account_id)) and merger[1] < sequence:
        account_id = merger[0]
    return account_id


_COMPARED = (
    "granted_position",
    "subject_kind",
    "subject_id",
    "rule_version",
    "account_id",
    "person_id",
    "household_id",
    "unit_id",
    "community_id",
    "cap",
    "points_due",
    "points",
    "occurred_at",
)


def _compared(replayed: Iterable[Granted], recorded: Iterable[Granted]) -> Iterator[Difference]:
    expected: defaultdict[tuple[int, str], list[Granted]] = defaultdict(list)
    for one in replayed:
        expected[one.fact_position, one.rule_code].append(one)
    for one in recorded:
        name = f"{one.id} (fact {one.fact_position}, {one.rule_code})"
        found = expected.get((one.fact_position, one.rule_code))
        if not found:
            yield Difference(name, f"of {one.points} points; replayed: none")
            continue
        due = found.pop(0)
        off = [field for field in _COMPARED if getattr(one, field) != getattr(due, field)]
        if off:
            told = ", ".join(f"{field} is {getattr(one, field)}, replayed {getattr(due, field)}" for field in off)
            yield Difference(name, told)
    for missing in (one for found in expected.values() for one in found):
        place = f"of fact {missing.fact_position} under {missing.rule_code}"
        yield Difference(place, f"is not there; replayed: {missing.points} points")


def _or_not(position: int | None) -> str:
    return "it stands" if position is None else f"by fact {position}"


def _shown(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    return list(map(list, zip(*rows, strict=True))) or [[], []]
