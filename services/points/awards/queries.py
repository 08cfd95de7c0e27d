"""What is read of rules, facts and awards.

Facts are accepted under their ledgers' locks, so what accepting them reads cannot change meanwhile.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy import Row, and_, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from chassis.core import clock
from chassis.core.actor import Actor
from services.points.awards.decisions import STORED, FactKey, Granted
from services.points.awards.facts import FACTS, ToldFact
from services.points.awards.rules import Approved, Rule, Rulebook
from services.points.awards.schemas import RuleOut
from services.points.awards.tables import Award, Fact, RuleApproval, RuleVersion
from services.points.terms import LedgerName

Driver = psycopg.AsyncConnection[TupleRow]
_PART = 1000

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


class Before(NamedTuple):
    """What was there before some facts came: which of them are withdrawn already, the awards that stand for their
    subjects, and the earlier facts (with their positions, in this order) that may take the place of withdrawn ones.
    """

    withdrawn: set[FactKey]
    standing: list[Granted]
    older: list[tuple[int, ToldFact]]


async def ledgers_of(session: AsyncSession, fact_types: Collection[str]) -> set[LedgerName]:
    """The ledgers that facts of these types may pay into, by any version of any rule, drafts too; else both."""
    found = await session.scalars(select(RuleVersion.ledger).where(RuleVersion.fact_type.in_(fact_types)).distinct())
    return set(found) or set(LedgerName)


async def rulebook(session: AsyncSession, fact_types: Collection[str] | None = None) -> Rulebook:
    """The approved versions of all rules that any version of theirs has ask for facts of these types; or of all."""
    query = select(RuleVersion, RuleApproval).join(
        RuleApproval, (RuleApproval.code == RuleVersion.code) & (RuleApproval.version == RuleVersion.version)
    )
    if fact_types is not None:
        query = query.where(RuleVersion.code.in_(select(RuleVersion.code).where(RuleVersion.fact_type.in_(fact_types))))
    return Rulebook(
        Approved(Rule.of(rule), approval.effective_from, approval.after_position)
        for rule, approval in await session.execute(query)
    )


async def rule_page(
    session: AsyncSession, actor: Actor, after: Sequence[str | int] | None, limit: int
) -> list[RuleOut]:
    """Rule versions by code and version, after a (code, version); drafts for those who make and check rules."""
    until = func.lead(RuleApproval.effective_from).over(
        partition_by=RuleApproval.code, order_by=RuleApproval.effective_from
    )
    approvals = select(RuleApproval, until.label("until")).subquery()
    approval = aliased(RuleApproval, approvals)
    query = (
        select(RuleVersion, approval, approvals.c.until)
        .outerjoin(approvals, (approvals.c.code == RuleVersion.code) & (approvals.c.version == RuleVersion.version))
        .order_by(RuleVersion.code, RuleVersion.version)
        .limit(limit)
    )
    if not actor.has("administrator", "auditor"):
        query = query.where(approvals.c.code.is_not(None))
    if after is not None:
        query = query.where(tuple_(RuleVersion.code, RuleVersion.version) > tuple_(*after))
    at = clock.now()
    return [RuleOut.of(rule, found, until, at) for rule, found, until in await session.execute(query)]


async def rule_version(session: AsyncSession, code: str, version: int) -> RuleVersion | None:
    """One version of a rule, draft or approved."""
    return await session.get(RuleVersion, (code, version))


async def versions_of(session: AsyncSession, code: str) -> Sequence[RuleVersion]:
    """All versions of a rule, the latest first."""
    found = select(RuleVersion).where(RuleVersion.code == code).order_by(RuleVersion.version.desc())
    return (await session.scalars(found)).all()


async def approvals_of(session: AsyncSession, code: str) -> Sequence[RuleApproval]:
    """The approvals of a rule's versions."""
    return (await session.scalars(select(RuleApproval).where(RuleApproval.code == code))).all()


async def last_position(session: AsyncSession) -> int:
    """The position of the fact that was accepted last."""
    return await session.scalar(select(func.max(Fact.position))) or 0


async def subject_labels(session: AsyncSession, subject_ids: Collection[UUID]) -> dict[UUID, str]:
    """By what people know these subjects, as far as any fact has told it."""
    rows = await session.execute(
        select(Fact.subject_id, func.max(Fact.subject_label))
        .where(Fact.subject_id.in_(subject_ids), Fact.subject_label.is_not(None))
        .group_by(Fact.subject_id)
    )
    return {subject_id: label for subject_id, label in rows if label is not None}


async def known(driver: Driver, keys: Collection[FactKey]) -> list[FactKey]:
    """Those of these facts that were accepted before."""
    cursor = await driver.cursor(binary=True).execute(_KNOWN, columns_of(keys))
    return [(type_, fact_id) for type_, fact_id in await cursor.fetchall()]


async def before(driver: Driver, new: Sequence[ToldFact]) -> Before:
    """What deciding on facts that are new takes of those that came before."""
    told = [(fact.type, fact.fact_id) for fact in new if fact.withdraws is None]
    about = {(fact.subject_id, fact.withdraws) for fact in new if fact.withdraws is not None}
    async with driver.pipeline():
        withdrawn = await driver.cursor(binary=True).execute(_WITHDRAWN, columns_of(told))
        standing = await driver.cursor(binary=True).execute(_STANDING, [list({fact.subject_id for fact in new})])
        older = await driver.cursor(binary=True).execute(_OF_SUBJECTS, columns_of(about))
        return Before(
            withdrawn={(type_, fact_id) for type_, fact_id in await withdrawn.fetchall()},
            standing=[Granted.read(row) for row in await standing.fetchall()],
            older=[
                (position, FACTS[type_].model_validate(data))
                for type_, position, data in await older.fetchall()
                if type_ in FACTS
            ],
        )


def columns_of(rows: Collection[tuple[Any, ...]]) -> list[list[Any]]:
    """The rows' columns, for `unnest`; of no rows, two empty ones."""
    return list(map(list, zip(*rows, strict=True))) if rows else [[], []]


async def facts_of_period(
    session: AsyncSession, rule: RuleVersion, start: datetime, end: datetime, *, limit: int
) -> AsyncIterator[Row[Fact, Award | None]]:
    """The period's facts that stand and whose subject has no award of the rule from outside it, with their awards."""
    withdrawal, other = aliased(Fact), aliased(Award)
    withdrawn = exists().where(withdrawal.withdraws == Fact.type, withdrawal.fact_id == Fact.fact_id)
    outside = exists().where(
        other.subject_id == Fact.subject_id,
        other.rule_code == rule.code,
        other.withdrawn_at.is_(None),
        or_(other.occurred_at < start, other.occurred_at >= end),
    )
    own = and_(Award.fact_position == Fact.position, Award.rule_code == rule.code, Award.withdrawn_at.is_(None))
    query = (
        select(Fact, Award)
        .outerjoin(Award, own)
        .where(Fact.type == rule.fact_type, Fact.occurred_at >= start, Fact.occurred_at < end, ~withdrawn, ~outside)
        .order_by(Fact.position)
        .limit(limit)
        .execution_options(yield_per=_PART)
    )
    async for rows in (await session.stream(query)).partitions():
        for row in rows:
            yield row
        session.expunge_all()
