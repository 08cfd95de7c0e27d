"""Accepting facts, and making rules: one administrator drafts, another approves."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.errors import DomainError, FieldError
from services.points.awards import queries
from services.points.awards.acceptance import Acceptance, earning_type
from services.points.awards.drafting import faults
from services.points.awards.errors import (
    EffectiveTimeTaken,
    RuleApprovedAlready,
    RuleFaulty,
    RuleNotFound,
    SecondPersonNeeded,
)
from services.points.awards.facts import ToldFact
from services.points.awards.schemas import RuleDraft
from services.points.awards.tables import RuleApproval, RuleVersion
from services.points.ledger.actions import carry_out
from services.points.ledger.queries import lock_ledgers


async def accept_all(session: AsyncSession, facts: Sequence[ToldFact]) -> None:
    """Record facts, in this order, and award what each earns, or take back what it withdraws (`Acceptance`).

    Only the ledgers that they may pay into are locked, before anything else that could change. Raises the DomainError
    that refuses any of them: then none may be committed.
    """
    ledgers = await queries.ledgers_of(session, {earning_type(fact) for fact in facts})
    for answer in await carry_out(session, Acceptance(ledgers), facts):
        if isinstance(answer, DomainError):
            raise answer


async def draft_rule(session: AsyncSession, actor: Actor, draft: RuleDraft) -> RuleVersion:
    """Write the next version of a rule, for another administrator to approve; nothing comes of it until then.

    A rule's ledger and whose wallet it pays into stay what they are in its first version. Raises RuleFaulty, which
    names the fields at fault.
    """
    found = faults(draft.version(1, actor.id, clock.now()))  # before anybody waits for it
    await lock_ledgers(session)  # both: another draft of this code may name the other one
    earlier = await queries.versions_of(session, draft.code)
    version = draft.version(earlier[0].version + 1 if earlier else 1, actor.id, clock.now())
    if found := found + _departures(version, earlier):
        raise RuleFaulty(fields=found)
    session.add(version)
    await session.flush()
    return version


def _departures(version: RuleVersion, earlier: Sequence[RuleVersion]) -> list[FieldError]:
    return [
        FieldError(f"body.{name}", f"is {getattr(earlier[0], name)} for this rule, and stays so")
        for name in ("ledger", "owner_kind")
        if earlier and getattr(version, name) != getattr(earlier[0], name)
    ]


async def approve_rule(
    session: AsyncSession, actor: Actor, code: str, number: int
) -> tuple[RuleVersion, RuleApproval, datetime | None]:
    """Put a draft in force: from when it wishes, or from now where that is past. Returns it, and until when.

    All ledgers are locked: a fact is accepted either before the approval, or knowing it. Raises RuleNotFound,
    RuleApprovedAlready, SecondPersonNeeded, EffectiveTimeTaken, RuleFaulty.
    """
    await lock_ledgers(session)
    rule = await queries.rule_version(session, code, number)
    if rule is None:
        raise RuleNotFound
    others = await queries.approvals_of(session, code)
    if any(approval.version == number for approval in others):
        raise RuleApprovedAlready
    if rule.drafted_by == actor.id:
        raise SecondPersonNeeded
    if found := faults(rule):
        raise RuleFaulty(fields=found)
    at = clock.now()
    effective_from = max(at, rule.not_before or at)
    if any(approval.effective_from == effective_from for approval in others):
        raise EffectiveTimeTaken
    approval = RuleApproval(
        code=code,
        version=number,
        approved_by=actor.id,
        approved_at=at,
        effective_from=effective_from,
        after_position=await queries.last_position(session),
    )
    session.add(approval)
    await session.flush()
    later = [other.effective_from for other in others if other.effective_from > effective_from]
    return rule, approval, min(later, default=None)
