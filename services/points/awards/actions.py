"""Accepting facts: what each earns is posted in the transaction that records it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.ids import new_id
from services.points.awards import queries, rules
from services.points.awards.rules import Merit
from services.points.awards.schemas import FACTS, ToldFact
from services.points.awards.tables import Award, Fact, RuleVersion
from services.points.awards.terms import CapScope
from services.points.ledger import actions as ledger
from services.points.ledger.queries import lock_ledgers
from services.points.ledger.rules import Posting
from services.points.ledger.tables import Transfer
from services.points.ledger.terms import AccountKey, TransferCode, issuance
from services.points.terms import OwnerKind


async def accept(session: AsyncSession, fact: ToldFact) -> None:
    """Record a fact and award what it earns, or take back what the fact that it withdraws has earned.

    The same fact again changes nothing, nor does a fact whose withdrawal came first. Both ledgers are locked
    before anything else, whichever the fact concerns: facts are accepted one after another, and two
    transactions that accept several each cannot wait for one another.
    """
    await lock_ledgers(session)
    if await queries.is_known(session, fact.type, fact.fact_id):
        return
    record = _record(fact)
    session.add(record)
    await session.flush()
    if fact.withdraws is not None:
        await _withdraw(session, fact, fact.withdraws)
    elif not await queries.is_withdrawn(session, fact.type, fact.fact_id):
        await _award(session, record, fact)


async def _withdraw(session: AsyncSession, withdrawal: ToldFact, type_: str) -> None:
    """Reverse what the withdrawn fact has earned; the subject's next fact of that kind may earn it instead."""
    for award in await queries.standing_awards_of_fact(session, type_, withdrawal.fact_id):
        award.withdrawn_at = clock.now()
        if transfer := await queries.transfer_of(session, award):
            await ledger.reverse(
                session,
                transfer,
                transfer.amount,
                reference=f"withdrawal/{award.rule_code}/{withdrawal.fact_id}",
                occurred_at=withdrawal.occurred_at,
            )
    for record in await queries.facts_of_subject(session, withdrawal.subject_id, type_):
        if not await queries.is_withdrawn(session, record.type, record.fact_id):
            await _award(session, record, FACTS[record.type].model_validate(record.data))


async def _award(session: AsyncSession, record: Fact, fact: ToldFact) -> None:
    """Award what a fact earns, as far as its subject has not earned it by another fact already."""
    merits = rules.merits(fact)
    versions = await queries.rule_versions(session, [merit.rule for merit in merits]) if merits else []
    for merit in merits:
        rule = rules.in_force(versions, merit.rule, fact.occurred_at)
        if rule is not None and not await queries.is_awarded(session, fact.subject_id, rule.code):
            await _grant(session, record, merit, rule)


async def _grant(session: AsyncSession, record: Fact, merit: Merit, rule: RuleVersion) -> None:
    wallet = _wallet(merit, rule)
    due = rules.points_due(rule, merit)
    points = rules.grant(rule, due, await _used(session, rule, merit, wallet, record.occurred_at))
    transfer = await _post(session, record, rule, wallet, points) if points else None
    session.add(
        Award(
            id=new_id(),
            fact_position=record.position,
            subject_kind=record.subject_kind,
            subject_id=record.subject_id,
            rule_code=rule.code,
            rule_version=rule.version,
            account_id=wallet.id,
            person_id=merit.person_id,
            household_id=merit.household_id,
            unit_id=merit.unit_id,
            community_id=merit.community_id,
            points_due=due,
            points=points,
            transfer_id=transfer.id if transfer else None,
            occurred_at=record.occurred_at,
            withdrawn_at=None,
        )
    )
    await session.flush()


async def _used(session: AsyncSession, rule: RuleVersion, merit: Merit, wallet: AccountKey, at: datetime) -> int:
    """How much of the rule's cap is gone; nothing where it has none."""
    if rule.cap_period is None or rule.cap_scope is None:
        return 0
    holder_id = merit.person_id if rule.cap_scope is CapScope.PERSON else wallet.id
    assert holder_id is not None, f"{rule.code} has a cap for each person, whom its facts do not name"
    period = rules.period_of(rule.cap_period, at)
    return await queries.points_granted(session, rule.cap_scope, holder_id, rule.code, period)


async def _post(session: AsyncSession, record: Fact, rule: RuleVersion, wallet: AccountKey, points: int) -> Transfer:
    return await ledger.post(
        session,
        Posting(
            debit=issuance(rule.ledger),
            credit=wallet,
            amount=points,
            code=TransferCode.AWARD,
            reference=f"award/{rule.code}/{record.fact_id}",
            occurred_at=record.occurred_at,
            rule=(rule.code, rule.version),
        ),
    )


def _wallet(merit: Merit, rule: RuleVersion) -> AccountKey:
    owner_id = merit.household_id if rule.owner_kind is OwnerKind.HOUSEHOLD else merit.person_id
    assert owner_id is not None, f"{rule.code} pays {rule.owner_kind}, whom its facts do not name"
    return AccountKey(rule.ledger, rule.owner_kind, owner_id)


def _record(fact: ToldFact) -> Fact:
    return Fact(
        type=fact.type,
        fact_id=fact.fact_id,
        withdraws=fact.withdraws,
        subject_kind=fact.subject_kind,
        subject_id=fact.subject_id,
        subject_label=fact.subject_label,
        occurred_at=fact.occurred_at,
        accepted_at=clock.now(),
        data=fact.model_dump(mode="json"),
    )
