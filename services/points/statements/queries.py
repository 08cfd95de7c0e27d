"""Accounts and their entries as their owners see them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.actor import Actor
from services.points.awards.queries import subject_labels
from services.points.awards.tables import Award, Fact
from services.points.awards.terms import SubjectKind
from services.points.households.queries import household_of
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.tables import Account, Entry, Transfer
from services.points.rewards.queries import coupons_of_transfers
from services.points.rewards.terms import CouponRef
from services.points.statements import rules
from services.points.statements.errors import AccountNotFound
from services.points.terms import LedgerName


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a statement: an entry, its transfer, and what the points were for."""

    entry: Entry
    transfer: Transfer
    subject: "Subject | None"
    coupon: CouponRef | None
    withheld: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What points were awarded for: an order and its number, or an activity (not the attendance) and its title."""

    kind: SubjectKind
    id: UUID
    label: str | None


async def own_accounts(session: AsyncSession, actor: Actor, ledger: LedgerName | None) -> list[Account]:
    """The actor's accounts, of one ledger or both. One that was never posted to is shown, not written."""
    actor = await _as_of_now(session, actor)
    keys = [key for key in rules.own_wallets(actor) if ledger in (None, key.ledger)]
    opened = await accounts_by_id(session, [key.id for key in keys])
    return [opened.get(key.id) or Account.open(key, clock.now()) for key in keys]


async def readable_account(session: AsyncSession, actor: Actor, account_id: UUID) -> Account:
    """An account that the actor may read. Raises AccountNotFound."""
    actor = await _as_of_now(session, actor)
    account = (await accounts_by_id(session, [account_id])).get(account_id)
    if account is None:
        own = {key.id: key for key in rules.own_wallets(actor)}
        account = Account.open(own[account_id], clock.now()) if account_id in own else None
    if account is None or not rules.may_read(actor, account):
        raise AccountNotFound
    return account


async def _as_of_now(session: AsyncSession, actor: Actor) -> Actor:
    """The actor with the household that is theirs now, whatever their token says: without one where they have left."""
    return replace(actor, household_id=await household_of(session, actor))


async def lines(session: AsyncSession, account_id: UUID, before_version: int | None, limit: int) -> Sequence[Line]:
    """An account's entries before a version of it, newest first. A reversal is for what its original was for."""
    query = (
        select(Entry, Transfer, Award, Fact.subject_label, Fact.data["activity_id"].astext)
        .join(Transfer, Transfer.id == Entry.transfer_id)
        .outerjoin(Award, Award.transfer_id == func.coalesce(Transfer.reverses_id, Transfer.id))
        .outerjoin(Fact, Fact.position == Award.fact_position)
        .where(Entry.account_id == account_id)
        .order_by(Entry.version.desc())
        .limit(limit)
    )
    if before_version is not None:
        query = query.where(Entry.version < before_version)
    rows = (await session.execute(query)).all()
    originals = {transfer.id: transfer.reverses_id or transfer.id for _, transfer, *_ in rows}
    coupons = await coupons_of_transfers(session, set(originals.values()))
    labels = await subject_labels(session, {award.subject_id for _, _, award, label, _ in rows if award and not label})
    return [
        Line(
            entry,
            transfer,
            _subject(award, label or labels.get(award.subject_id), activity_id) if award else None,
            coupons.get(originals[transfer.id]),
            award.points_due - award.points if award else 0,
        )
        for entry, transfer, award, label, activity_id in rows
    ]


def _subject(award: Award, label: str | None, activity_id: str | None) -> Subject:
    return Subject(award.subject_kind, UUID(activity_id) if activity_id else award.subject_id, label)
