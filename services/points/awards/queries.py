"""What is read of rules, facts and awards.

Facts are accepted under their ledgers' locks, so what accepting them reads cannot change meanwhile.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from chassis.core import clock
from chassis.core.actor import Actor
from services.points.awards.rules import Approved, Rule, Rulebook
from services.points.awards.schemas import RuleOut
from services.points.awards.tables import Fact, RuleApproval, RuleVersion
from services.points.terms import LedgerName


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
