"""Reading and locking statements, and what belongs to them."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Exists, and_, exists, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from chassis.core.actor import Actor
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.ledger.tables import Account, Ledger, Transfer
from services.points.ledger.terms import Purpose, TransferCode, merchant_payable
from services.points.merchants.errors import MerchantNotFound
from services.points.merchants.tables import Merchant
from services.points.registry.rules import manages
from services.points.settlement import rules
from services.points.settlement.errors import AdjustmentNotFound, StatementNotFound
from services.points.settlement.lines import sums_by_store
from services.points.settlement.schemas import (
    AdjustmentOut,
    DisputeOut,
    StatementDetail,
    StatementFilters,
    StatementOut,
    StoreOut,
)
from services.points.settlement.tables import Adjustment, Dispute, Payment, Statement
from services.points.settlement.terms import AdjustmentState, StatementState, Unsettled
from services.points.statements.terms import Range
from services.points.terms import LedgerName


class Awaited(NamedTuple):
    """A merchant, and the first month of which there is no statement yet. What precedes it ended at this number."""

    merchant: Merchant
    month: date
    number: int


async def list_statements(
    session: AsyncSession, cursors: Cursors, actor: Actor, filters: StatementFilters
) -> Page[StatementOut]:
    """A page of the statements that somebody may see, the latest month first. Raises InvalidCursor."""
    carried = {"list": "settlement"} | filters.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    after = cursors.decode(filters.cursor, carried)
    statement = select(Statement, _has_open_dispute()).options(joinedload(Statement.payment)).where(*_which(filters))
    if not actor.has("administrator", "auditor"):
        if actor.organisation_id is None:
            return Page(items=[], next_cursor=None)
        statement = statement.where(Statement.merchant_id == actor.organisation_id)
    if after is not None:
        last = (date.fromisoformat(str(after[0])), UUID(str(after[1])))
        statement = statement.where(tuple_(Statement.month, Statement.id) < last)
    statement = statement.order_by(Statement.month.desc(), Statement.id.desc()).limit(filters.limit + 1)
    found = (await session.execute(statement)).all()
    shown = found[: filters.limit]
    more = len(found) > filters.limit
    return Page(
        items=[StatementOut.of(one, disputed=disputed) for one, disputed in shown],
        next_cursor=cursors.encode(carried, [shown[-1][0].month.isoformat(), str(shown[-1][0].id)]) if more else None,
    )


def _which(filters: StatementFilters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.merchant_id is not None:
        found.append(Statement.merchant_id == filters.merchant_id)
    if filters.month is not None:
        found.append(Statement.month == date.fromisoformat(f"{filters.month}-01"))
    if filters.state is not None:
        found.append(Statement.state == filters.state)
    if filters.disputed is not None:
        found.append(_has_open_dispute() if filters.disputed else ~_has_open_dispute())
    return found


def _has_open_dispute() -> Exists:
    return exists().where(Dispute.statement_id == Statement.id, Dispute.answered_at.is_(None))


async def check_merchant(session: AsyncSession, actor: Actor, merchant_id: UUID) -> None:
    """Whether there is such a merchant and somebody may see what is settled with it. Raises MerchantNotFound."""
    if not rules.may_see(actor, merchant_id) or await session.get(Merchant, merchant_id) is None:
        raise MerchantNotFound


async def visible_statement(session: AsyncSession, actor: Actor, statement_id: UUID) -> Statement:
    """A statement that somebody may see, with its payment. Raises StatementNotFound."""
    statement = await session.scalar(
        select(Statement).options(joinedload(Statement.payment)).where(Statement.id == statement_id)
    )
    if statement is None or not rules.may_see(actor, statement.merchant_id):
        raise StatementNotFound
    return statement


async def statement_detail(session: AsyncSession, actor: Actor, statement_id: UUID) -> StatementDetail:
    """A statement with all that belongs to it; pending and rejected adjustments for staff. Raises StatementNotFound."""
    statement = await visible_statement(session, actor, statement_id)
    disputes = await session.scalars(select(Dispute).where(Dispute.statement_id == statement_id).order_by(Dispute.id))
    told = [DisputeOut.of(dispute) for dispute in disputes]
    for_staff = not manages(actor, statement.merchant_id)
    added = await adjustments(session, statement_id, approved_only=not for_staff)
    numbers = Range(statement.first_number, statement.end_number)
    return StatementDetail(
        **dict(StatementOut.of(statement, disputed=any(dispute.answered_at is None for dispute in told))),
        stores=[StoreOut.of(store) for store in await sums_by_store(session, statement.merchant_id, numbers)],
        disputes=told,
        adjustments=[AdjustmentOut.of(each, for_staff=for_staff) for each in added],
    )


async def adjustments(session: AsyncSession, statement_id: UUID, *, approved_only: bool) -> Sequence[Adjustment]:
    """What was added to a statement, in the order of their numbers."""
    statement = select(Adjustment).where(Adjustment.statement_id == statement_id)
    if approved_only:
        statement = statement.where(Adjustment.state == AdjustmentState.APPROVED)
    return (await session.scalars(statement.order_by(Adjustment.id))).all()


async def lock_statement(session: AsyncSession, statement_id: UUID) -> Statement:
    """A statement, locked until the transaction ends. Raises StatementNotFound."""
    statement = select(Statement).where(Statement.id == statement_id).with_for_update()
    found = await session.scalar(statement.execution_options(populate_existing=True))
    if found is None:
        raise StatementNotFound
    return found


async def lock_adjustment(session: AsyncSession, adjustment_id: UUID) -> tuple[Statement, Adjustment]:
    """An adjustment, and its statement, which is locked. Raises AdjustmentNotFound."""
    statement_id = await session.scalar(select(Adjustment.statement_id).where(Adjustment.id == adjustment_id))
    if statement_id is None:
        raise AdjustmentNotFound
    statement = await lock_statement(session, statement_id)
    return statement, await session.get_one(Adjustment, adjustment_id, populate_existing=True)


async def open_dispute(session: AsyncSession, statement_id: UUID) -> Dispute | None:
    """What a merchant said against a statement and was not answered yet. The statement is locked."""
    statement = select(Dispute).where(Dispute.statement_id == statement_id, Dispute.answered_at.is_(None))
    return await session.scalar(statement)


async def unsettled(session: AsyncSession, statement: Statement) -> Unsettled:
    """What keeps a draft from being confirmed. It is locked."""
    disputed = _open_dispute_of(statement.id)
    pending = exists().where(Adjustment.statement_id == statement.id, Adjustment.state == AdjustmentState.PENDING)
    earlier = exists().where(
        Statement.merchant_id == statement.merchant_id,
        Statement.state == StatementState.DRAFT,
        Statement.month < statement.month,
    )
    return Unsettled(*(await session.execute(select(disputed, pending, earlier))).one())


def _open_dispute_of(statement_id: UUID) -> Exists:
    return exists().where(Dispute.statement_id == statement_id, Dispute.answered_at.is_(None))


async def drafts_due(session: AsyncSession, at: datetime) -> Sequence[UUID]:
    """Drafts whose time is over and that nothing keeps from being confirmed but, perhaps, an earlier month: each
    merchant's in the order of months.
    """
    pending = exists().where(Adjustment.statement_id == Statement.id, Adjustment.state == AdjustmentState.PENDING)
    statement = (
        select(Statement.id)
        .where(Statement.state == StatementState.DRAFT, Statement.confirms_at <= at)
        .where(~_has_open_dispute(), ~pending)
        .order_by(Statement.merchant_id, Statement.month)
    )
    return (await session.scalars(statement)).all()


async def awaited_statements(session: AsyncSession) -> list[Awaited]:
    """For every merchant where a coupon was ever used, the month that it gets its next statement of."""
    account = and_(Account.owner_id == Merchant.id, Account.purpose == Purpose.MERCHANT_PAYABLE, Account.version > 0)
    merchants = (await session.scalars(select(Merchant).join(Account, account).order_by(Merchant.id))).all()
    latest = select(Statement.merchant_id, func.max(Statement.month)).group_by(Statement.merchant_id)
    last = await session.scalars(select(Statement).where(tuple_(Statement.merchant_id, Statement.month).in_(latest)))
    drawn_up = {statement.merchant_id: statement for statement in last}
    found: list[Awaited] = []
    for merchant in merchants:
        if statement := drawn_up.get(merchant.id):
            found.append(Awaited(merchant, rules.next_month(statement.month), statement.end_number))
        elif first := await _first_use(session, merchant.id):
            found.append(Awaited(merchant, rules.month_of(first), 0))
    return found


async def _first_use(session: AsyncSession, merchant_id: UUID) -> datetime | None:
    statement = select(Transfer.posted_at).where(
        Transfer.credit_account_id == merchant_payable(merchant_id).id, Transfer.code == TransferCode.USE
    )
    return await session.scalar(statement.order_by(Transfer.sequence).limit(1))


async def close_until(session: AsyncSession, moment: datetime) -> None:
    """From now on nothing is posted to the civic ledger as if it were before a moment, whatever a machine's clock says.

    The ledger's lock is held.
    """
    statement = update(Ledger).where(Ledger.name == LedgerName.CIVIC, Ledger.last_posted_at < moment)
    await session.execute(statement.values(last_posted_at=moment).execution_options(synchronize_session=False))


async def settle_before(session: AsyncSession, merchant_id: UUID, day: date) -> None:
    """Uses at a merchant's that were posted before this day are settled. The civic ledger's lock is held."""
    await session.execute(
        update(Merchant)
        .where(Merchant.id == merchant_id)
        .values(settled_before=func.greatest(Merchant.settled_before, day))
        .execution_options(synchronize_session=False)
    )


async def lock_months(session: AsyncSession, statement_ids: Collection[UUID]) -> dict[UUID, list[Statement]]:
    """The statements, by merchant and in the order of months, of those merchants that these are of, as far as they are
    not paid; and these themselves. Locked until the transaction ends. Lock the ledger first.
    """
    named = select(Statement.merchant_id).where(Statement.id.in_(statement_ids))
    wanted = Statement.id.in_(statement_ids) | (
        Statement.merchant_id.in_(named) & (Statement.state != StatementState.PAID)
    )
    statement = select(Statement).where(wanted).order_by(Statement.merchant_id, Statement.month)
    statement = statement.with_for_update(of=Statement).execution_options(populate_existing=True)
    found: dict[UUID, list[Statement]] = {}
    for each in await session.scalars(statement):
        found.setdefault(each.merchant_id, []).append(each)
    return found


async def references_used(session: AsyncSession, named: Collection[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Those of (merchant, what the bank calls it) that a payment bears already."""
    key = tuple_(Payment.merchant_id, Payment.bank_reference)
    found = await session.execute(select(Payment.merchant_id, Payment.bank_reference).where(key.in_(named)))
    return {(merchant_id, str(reference)) for merchant_id, reference in found}
