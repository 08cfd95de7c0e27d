"""What accepting facts one after another comes to: awards granted, and awards taken back. No I/O.

The same code accepts facts and replays them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol
from uuid import UUID

from chassis.core.ids import new_id
from services.points.awards.facts import ToldFact
from services.points.awards.rules import Merit
from services.points.awards.terms import CapScope
from services.points.ledger.core.commands import Award, CapKey, TakeBack
from services.points.ledger.core.state import Result

FactKey = tuple[str, UUID]
"""A fact's type and what its teller calls it."""


@dataclass(slots=True)
class Record:
    """A fact as it was accepted, and what it earns where its subject has not earned it by another."""

    fact: ToldFact
    position: int
    awards: list[tuple[Merit, Award]]

    @property
    def key(self) -> FactKey:
        return self.fact.type, self.fact.fact_id


@dataclass(slots=True)
class Granted:
    """An award's row, as `tables.Award` has it; with the whole key of its cap, and that of the fact that earned it."""

    id: UUID
    fact_key: FactKey
    fact_position: int
    granted_position: int
    subject_kind: str
    subject_id: UUID
    rule_code: str
    rule_version: int
    account_id: UUID
    person_id: UUID | None
    household_id: UUID | None
    unit_id: UUID | None
    community_id: UUID | None
    cap: CapKey | None
    points_due: int
    points: int
    transfer_id: UUID | None
    occurred_at: datetime
    withdrawn_at: datetime | None = None
    withdrawn_position: int | None = None

    @property
    def cap_scope(self) -> str | None:
        return self.cap.scope if self.cap else None

    @property
    def cap_holder_id(self) -> UUID | None:
        return self.cap.holder_id if self.cap else None

    @property
    def cap_period(self) -> str | None:
        return self.cap.period if self.cap else None

    @classmethod
    def read(cls, row: tuple[Any, ...]) -> "Granted":
        """An award from its row as `STORED` names the columns."""
        type_, fact_id, id_, *before, scope, holder, period, due, points, transfer_id, at, gone_at, gone = row
        values: list[Any] = [id_, (type_, fact_id), *before]
        values.append(CapKey(before[4], scope, holder, period) if holder else None)
        values += [due, points, transfer_id, at, gone_at, gone]
        return cls(*values)


COLUMNS = (
    "id fact_position granted_position subject_kind subject_id rule_code rule_version account_id person_id household_id"
    " unit_id community_id cap_scope cap_holder_id cap_period points_due points transfer_id occurred_at withdrawn_at"
    " withdrawn_position"
)
STORED = "fact.type, fact.fact_id, " + ", ".join(f"award.{name}" for name in COLUMNS.split())
row_of = attrgetter(*COLUMNS.split())


class Applies(Protocol):
    """The ledger's book, or what stands for it."""

    def apply(self, command: Award | TakeBack, /) -> Result: ...


@dataclass(slots=True)
class Decisions:
    """What is known before the first fact, and what comes of deciding one after the other.

    `withdrawn` are facts that were withdrawn, be it before they came. `of_subjects` are the facts of those subjects of
    which something may be withdrawn, in the order of their acceptance.
    """

    withdrawn: set[FactKey] = field(default_factory=set)
    of_subjects: dict[tuple[UUID, str], list[Record]] = field(default_factory=dict)
    standing: dict[tuple[UUID, str], Granted] = field(default_factory=dict)
    granted: list[Granted] = field(default_factory=list)
    taken_back: list[Granted] = field(default_factory=list)
    """Of those that stood before as well as of the granted ones."""
    _earned: dict[FactKey, list[Granted]] = field(default_factory=dict)

    def stand(self, award: Granted) -> None:
        """An award that stands for its subject and rule."""
        self.standing[award.subject_id, award.rule_code] = award
        self._earned.setdefault(award.fact_key, []).append(award)

    def accept(self, book: Applies, record: Record, at: datetime) -> None:
        """Accept the next fact: award what it earns, or take back what the one that it withdraws has earned."""
        fact = record.fact
        if fact.withdraws is not None:
            self._withdraw(book, record, (fact.withdraws, fact.fact_id), at)
            return
        self.of_subjects.setdefault((fact.subject_id, fact.type), []).append(record)
        if record.key not in self.withdrawn:
            self._award(book, record, record.position)

    def _withdraw(self, book: Applies, withdrawal: Record, key: FactKey, at: datetime) -> None:
        """The subject's next fact of that type earns what this gives back, if there is room in its cap."""
        self.withdrawn.add(key)
        for award in sorted(self._earned.pop(key, ()), key=lambda award: award.rule_code):
            book.apply(take_back(award, withdrawal.fact))
            award.withdrawn_at, award.withdrawn_position = at, withdrawal.position
            del self.standing[award.subject_id, award.rule_code]
            self.taken_back.append(award)
        for record in self.of_subjects.get((withdrawal.fact.subject_id, key[0]), ()):
            if record.key not in self.withdrawn:
                self._award(book, record, withdrawal.position)

    def _award(self, book: Applies, record: Record, granted_position: int) -> None:
        """Award what a fact earns, as far as its subject has not earned it by another fact already."""
        for merit, command in record.awards:
            if (record.fact.subject_id, merit.rule.code) not in self.standing:
                award = _granted(record, merit, book.apply(command), granted_position)
                self.granted.append(award)
                self.stand(award)


def _granted(record: Record, merit: Merit, result: Result, granted_position: int) -> Granted:
    fact = record.fact
    return Granted(
        id=new_id(),
        fact_key=record.key,
        fact_position=record.position,
        granted_position=granted_position,
        subject_kind=fact.subject_kind.value,
        subject_id=fact.subject_id,
        rule_code=merit.rule.code,
        rule_version=merit.rule.version,
        account_id=merit.wallet.id,
        person_id=merit.person_id,
        household_id=merit.household_id,
        unit_id=merit.unit_id,
        community_id=merit.community_id,
        cap=merit.cap[0] if merit.cap else None,
        points_due=merit.due,
        points=result.granted,
        transfer_id=result.transfer.id if result.transfer else None,
        occurred_at=fact.occurred_at,
    )


def award(merit: Merit, fact: ToldFact) -> Award:
    """What is asked of the ledger for a merit. A fact earns under a rule once, for ever."""
    return Award(
        wallet=merit.wallet,
        due=merit.due,
        rule=(merit.rule.code, merit.rule.version),
        reference=f"award/{merit.rule.code}/{fact.fact_id}",
        occurred_at=fact.occurred_at,
        cap=merit.cap,
    )


def households_with_caps(records: Iterable[Record]) -> set[UUID]:
    """The households in whose caps these facts may count."""
    return {key.holder_id for record in records for _, one in record.awards for key in _household_cap(one)}


def count_families(records: Iterable[Record], families: Mapping[UUID, Sequence[UUID]]) -> None:
    """Have what was granted to the households that are one with another by now (`ONE_FAMILY`) count in its caps."""
    for record in records:
        for place, (merit, one) in enumerate(record.awards):
            for key in _household_cap(one):
                beside = tuple(replace(key, holder_id=other) for other in families.get(key.holder_id, ()))
                record.awards[place] = merit, replace(one, beside=beside)


def by_household(rows: Iterable[tuple[Any, ...]]) -> dict[UUID, list[UUID]]:
    """The families of `ONE_FAMILY`."""
    families: dict[UUID, list[UUID]] = {}
    for household_id, other_id in rows:
        families.setdefault(household_id, []).append(other_id)
    return families


def _household_cap(award: Award) -> Iterator[CapKey]:
    if award.cap and award.cap[0].scope == CapScope.HOUSEHOLD:
        yield award.cap[0]


def take_back(award: Granted, withdrawal: ToldFact) -> TakeBack:
    """What is asked of the ledger where the fact of an award is withdrawn."""
    return TakeBack(
        transfer_id=award.transfer_id,
        granted=award.points,
        reference=f"withdrawal/{award.rule_code}/{withdrawal.fact_id}",
        occurred_at=withdrawal.occurred_at,
        cap=award.cap,
    )
