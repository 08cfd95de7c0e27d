"""What is read of rules, facts and awards.

Facts are accepted under the ledgers' locks, so what accepting one reads cannot change meanwhile.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.awards.tables import Award, Fact, RuleVersion
from services.points.awards.terms import CapScope
from services.points.ledger.tables import Transfer


async def is_known(session: AsyncSession, type_: str, fact_id: UUID) -> bool:
    """Whether this fact was accepted before."""
    found = await session.scalar(select(Fact.position).where(Fact.type == type_, Fact.fact_id == fact_id))
    return found is not None


async def is_withdrawn(session: AsyncSession, type_: str, fact_id: UUID) -> bool:
    """Whether a withdrawal of this fact has been accepted, be it before the fact itself."""
    found = await session.scalar(select(Fact.position).where(Fact.withdraws == type_, Fact.fact_id == fact_id).limit(1))
    return found is not None


async def facts_of_subject(session: AsyncSession, subject_id: UUID, type_: str) -> Sequence[Fact]:
    """A subject's facts of one type, in the order of their acceptance."""
    facts = select(Fact).where(Fact.subject_id == subject_id, Fact.type == type_).order_by(Fact.position)
    return (await session.scalars(facts)).all()


async def standing_awards_of_fact(session: AsyncSession, type_: str, fact_id: UUID) -> Sequence[Award]:
    """The awards that a fact earned and that were not taken back."""
    return (
        await session.scalars(
            select(Award)
            .join(Fact, Fact.position == Award.fact_position)
            .where(Fact.type == type_, Fact.fact_id == fact_id, Award.withdrawn_at.is_(None))
            .order_by(Award.rule_code)
        )
    ).all()


async def is_awarded(session: AsyncSession, subject_id: UUID, rule_code: str) -> bool:
    """Whether an award for this subject and rule stands."""
    standing = (Award.subject_id == subject_id, Award.rule_code == rule_code, Award.withdrawn_at.is_(None))
    found = await session.scalar(select(Award.id).where(*standing))
    return found is not None


async def points_granted(
    session: AsyncSession, scope: CapScope, holder_id: UUID, rule_code: str, period: tuple[datetime, datetime]
) -> int:
    """How much of a cap is used: what stands of a rule's awards to a wallet or person for facts of the period."""
    start, end = period
    holder = Award.person_id if scope is CapScope.PERSON else Award.account_id
    total = await session.scalar(
        select(func.sum(Award.points)).where(
            holder == holder_id,
            Award.rule_code == rule_code,
            Award.occurred_at >= start,
            Award.occurred_at < end,
            Award.withdrawn_at.is_(None),
        )
    )
    return int(total or 0)


async def rule_versions(session: AsyncSession, codes: Collection[str]) -> Sequence[RuleVersion]:
    """Every version of these rules."""
    return (await session.scalars(select(RuleVersion).where(RuleVersion.code.in_(codes)))).all()


async def rule_page(session: AsyncSession, after: Sequence[str | int] | None, limit: int) -> Sequence[RuleVersion]:
    """Rule versions by code and version, after a (code, version)."""
    query = select(RuleVersion).order_by(RuleVersion.code, RuleVersion.version).limit(limit)
    if after is not None:
        query = query.where(tuple_(RuleVersion.code, RuleVersion.version) > tuple_(*after))
    return (await session.scalars(query)).all()


async def transfer_of(session: AsyncSession, award: Award) -> Transfer | None:
    """The posting of an award; None where a cap left nothing."""
    return await session.get(Transfer, award.transfer_id) if award.transfer_id else None


async def subject_labels(session: AsyncSession, subject_ids: Collection[UUID]) -> dict[UUID, str]:
    """By what people know these subjects, as far as any fact has told it."""
    rows = await session.execute(
        select(Fact.subject_id, func.max(Fact.subject_label))
        .where(Fact.subject_id.in_(subject_ids), Fact.subject_label.is_not(None))
        .group_by(Fact.subject_id)
    )
    return {subject_id: label for subject_id, label in rows if label is not None}
