"""The examples' fourth world: the database again, where what awards points is told as a fact, to what accepts facts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from services.points.awards.actions import accept_all
from services.points.awards.facts import AttendanceVerified, AttendanceWithdrawn, ToldFact
from services.points.awards.tables import RuleApproval, RuleVersion
from services.points.awards.terms import CapScope, Period
from services.points.ledger.core.commands import CapKey
from services.points.terms import LedgerName, OwnerKind
from tests.points.ledger.database import KINDS, DatabaseWorld
from tests.points.ledger.examples import BEGINNING, Example, Step
from tests.points.ledger.worlds import Tables, id_of

PERIODS = {"-": Period.MONTH, "--": Period.DAY, "": Period.YEAR, "/": Period.CAMPAIGN}
"""By what is between the words of a cap's period."""
MINUTES = 15
"""What a point is earned by here."""
FIELDS = {"person": "person_id", "unit": "unit_id", "household": "household_id", "community": "community"}


class Hours(AttendanceVerified):
    """Hours of anybody, be it for a family's wallet or at work. What they were spent on says which rule they meet."""

    unit_id: UUID | None
    community: UUID | None


class AwardsWorld(DatabaseWorld):
    """Awards come of facts and rules; what an example says of an award is what its rule says of the fact."""

    @classmethod
    async def of(cls, session: AsyncSession, kinds: Mapping[str, str], example: Example) -> "AwardsWorld":
        """With the rules that an example speaks of, in a database that has no others."""
        world = cls(session, kinds)
        steps = [step for line in example.lines for step in line.steps if step.verb in ("award", "withdraw")]
        awards = {step.args["name"]: step for step in steps if step.verb == "award"}
        for rule in sorted({step.args["rule"] for step in awards.values()}):
            for row in approved(kinds, [step for step in awards.values() if step.args["rule"] == rule]):
                session.add(row)
                await session.flush()
        for step in steps:
            award = awards[step.args["of"]] if step.verb == "withdraw" else step
            kind = "award" if step is award else "withdrawal"
            reference = f"{kind}/{award.args['rule'][0]}/{id_of(award.args['name'])}"
            world.named.setdefault(reference, step.args["name"])
        return world

    def __init__(self, session: AsyncSession, kinds: Mapping[str, str]) -> None:
        super().__init__(session, kinds)
        self.named: dict[str, str] = {}
        """What the example calls the transfers that awards and withdrawals come to, by their references."""
        self.campaigns: dict[UUID, str] = {}

    async def do(self, steps: Sequence[Step]) -> list[int] | str:
        if not any(step.verb in ("award", "withdraw") for step in steps):
            return await super().do(steps)
        with clock.frozen(self.now):
            await accept_all(self.session, [self._fact(step) for step in steps])
        tables = await self.tables()
        self.names.learn(tables)
        points = {row.reference: row.amount for row in tables.transfers.values()}
        return [points.get(step.args["name"], 0) for step in steps]

    async def tables(self) -> Tables:
        """With the names that the example has for what facts came to, and for campaigns."""
        tables = await super().tables()
        for row in tables.transfers.values():
            if found := re.match("(?:award|withdrawal)/[^/]+/[^/]+", row.reference):
                reference = self.named[found[0]] + row.reference[found.end() :]
                tables.transfers[row.id] = row._replace(reference=reference)
        tables.caps = {self._said(cap): used for cap, used in tables.caps.items()}
        return tables

    def _said(self, cap: CapKey) -> CapKey:
        period, _, campaign = cap.period.partition("/")
        return replace(cap, period=f"{period}/{self.campaigns[UUID(campaign)]}") if campaign else cap

    def _fact(self, step: Step) -> ToldFact:
        args = step.args
        name = args["of" if step.verb == "withdraw" else "name"]
        about: dict[str, Any] = {
            "occurred_at": (step.happened or self.now).astimezone(UTC),
            "verification_id": id_of(name),
            "attendance_id": id_of(name),
            "activity_id": id_of("an activity"),
        }
        if step.verb == "withdraw":
            return AttendanceWithdrawn(**about)
        if args["cap"] and (campaign := args["cap"][0][2].partition("/")[2]):
            about["activity_id"] = id_of(campaign)
            self.campaigns[id_of(campaign)] = campaign
        whom = {KINDS[self.names.kinds[subject]]: id_of(subject) for subject in (args["wallet"], *args["subjects"])}
        return Hours(
            **about,
            activity_title=args["rule"][0],
            minutes=args["due"] * MINUTES,
            person_id=whom.get("person", id_of("somebody")),
            household_id=whom.get("household", id_of("a family")),
            unit_id=whom.get("unit"),
            community=whom.get("community"),
        )


def approved(kinds: Mapping[str, str], awards: Sequence[Step]) -> tuple[RuleVersion, RuleApproval]:
    """The version of a rule by which these awards are what they are: a point for a quarter of an hour, as far as its
    cap goes. It is in force from the first fact on that meets it.
    """
    [(code, version)] = {step.args["rule"] for step in awards}
    [cap] = {capped(kinds, step.args["cap"]) for step in awards}
    [staff] = {kinds[step.args["wallet"]] == "staff" for step in awards}
    credited = {KINDS[kinds[subject]] for step in awards for subject in step.args["subjects"]}
    credited.add("person" if staff else "household")
    rule = RuleVersion(
        code=code,
        version=version,
        ledger=LedgerName.STAFF if staff else LedgerName.CIVIC,
        owner_kind=OwnerKind.PERSON if staff else OwnerKind.HOUSEHOLD,
        fact_type=Hours.type,
        condition=f"activity_title == '{code}'",
        amount=f"minutes / {MINUTES}",
        **{f"{kind}_field": field if kind in credited else None for kind, field in FIELDS.items()},
        campaign_field="activity_id",
        cap_points=cap[0],
        cap_period=cap[1],
        cap_scope=cap[2],
        name=code,
        name_zh=code,
        drafted_by=None,
        drafted_at=BEGINNING,
        not_before=None,
    )
    first = BEGINNING if version == 1 else min(step.happened for step in awards if step.happened)
    approval = RuleApproval(
        code=code, version=version, approved_by=None, approved_at=BEGINNING, effective_from=first, after_position=0
    )
    return rule, approval


def capped(
    kinds: Mapping[str, str], cap: tuple[tuple[str, str, str], int] | None
) -> tuple[int | None, Period | None, CapScope | None]:
    """How many points, over what, of whom."""
    if cap is None:
        return None, None, None
    (_, holder, period), limit = cap
    return limit, PERIODS[re.sub("[^/-]", "", period)], CapScope(KINDS[kinds[holder]])
