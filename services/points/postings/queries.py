"""What is read of transfers, holds and proposals, and what is kept of postings by hand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from chassis.core import clock
from chassis.core.db import driver_connection, driver_errors
from chassis.core.paging import Cursors
from chassis.core.schema import Page
from services.points.ledger.core.state import LedgerState
from services.points.ledger.errors import HoldNotFound, TransferNotFound
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.tables import Account, Hold, Ledger, Transfer, TransferText
from services.points.postings.answers import HoldOut
from services.points.postings.errors import ProposalNotFound
from services.points.postings.records import (
    HandActOut,
    HoldDetail,
    ProposalDetail,
    ProposalOut,
    TransferDetail,
    TransferOut,
)
from services.points.postings.schemas import ProposalFilters, TransferFilters
from services.points.postings.tables import ByHand, Proposal
from services.points.postings.terms import Act, ProposalState
from services.points.statements.queries import conditions, numbers_between, page, sides
from services.points.statements.terms import EVERYTHING, Which
from services.points.terms import LedgerName


class Done(NamedTuple):
    """Who did something by hand, and why. `salt` is that of the reason's hash, where there is a transfer."""

    subject_id: UUID
    act: Act
    done_by: UUID
    done_at: datetime
    approved_by: UUID | None
    proposal_id: UUID | None
    reason: str
    salt: bytes | None


_KEEP_DONE = """
WITH done AS (
 SELECT * FROM unnest(%b::uuid[], %b::text[], %b::uuid[], %b::timestamptz[], %b::uuid[], %b::uuid[], %b::text[],
  %b::bytea[]) AS done (subject_id, act, done_by, done_at, approved_by, proposal_id, reason, salt)
), texts AS (
 INSERT INTO transfer_text (transfer_id, salt, words) SELECT subject_id, salt, reason FROM done WHERE salt IS NOT NULL
)
INSERT INTO by_hand (subject_id, act, done_by, done_at, approved_by, proposal_id, reason)
 SELECT subject_id, act, done_by, done_at, approved_by, proposal_id, CASE WHEN salt IS NULL THEN reason END FROM done
"""
_ALONE = "SELECT person_id, points FROM hand_day WHERE day = %b AND person_id = ANY(%b)"
_KEEP_ALONE = (
    "INSERT INTO hand_day (person_id, day, points) SELECT person_id, %b, points"
    " FROM unnest(%b::uuid[], %b::int8[]) AS done (person_id, points)"
    " ON CONFLICT (person_id, day) DO UPDATE SET points = excluded.points"
)


async def posted_alone(session: AsyncSession, people: Collection[UUID], day: date) -> dict[UUID, int]:
    """How many points each of these has posted or held alone on a day. The ledgers' locks are held."""
    driver = await driver_connection(session)
    with driver_errors(driver):
        rows = await (await driver.execute(_ALONE, [day, list(people)])).fetchall()
    return dict.fromkeys(people, 0) | dict(rows)


async def keep_alone(session: AsyncSession, alone: Mapping[UUID, int], day: date) -> None:
    """Write how many that are now."""
    if alone:
        driver = await driver_connection(session)
        with driver_errors(driver):
            await driver.execute(_KEEP_ALONE, [day, list(alone), list(alone.values())])


async def keep_done(session: AsyncSession, done: Sequence[Done]) -> None:
    """Write who did it and why, in one statement, however many they are. Why a transfer was posted stands with it."""
    if not done:
        return
    driver = await driver_connection(session)
    with driver_errors(driver):
        await driver.execute(_KEEP_DONE, [list(column) for column in zip(*done, strict=True)])


async def lock_proposals(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Proposal]:
    """Those of the proposals that there are, locked until the transaction ends."""
    statement = select(Proposal).where(Proposal.id.in_(ids)).order_by(Proposal.id).with_for_update()
    found = await session.scalars(statement.execution_options(populate_existing=True))
    return {proposal.id: proposal for proposal in found}


async def ledgers_at_once(session: AsyncSession) -> dict[LedgerName, LedgerState]:
    """Both ledgers as they are at one moment, which all that this session reads from now on is of; nothing is locked.

    The session is fresh, and writes nothing.
    """
    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    found = await session.scalars(select(Ledger))
    return {row.name: LedgerState(row.name, row.last_sequence, row.last_posted_at) for row in found}


async def list_transfers(session: AsyncSession, cursors: Cursors, filters: TransferFilters) -> Page[TransferOut]:
    """A page of transfers, the last posted first. Raises InvalidCursor.

    Each ledger is read in the order of its numbers, which is that of time; the cursor says where in each to go on.
    """
    carried = {"list": "transfers"} | filters.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    after = cursors.decode(filters.cursor, carried)
    below = dict(zip(LedgerName, (int(number) for number in after), strict=True)) if after else {}
    found: list[Transfer] = []
    for ledger in [filters.ledger] if filters.ledger else LedgerName:
        found += await _of_ledger(session, ledger, filters, below.get(ledger), filters.limit + 1)
    found.sort(key=lambda transfer: (transfer.posted_at, transfer.ledger, transfer.sequence), reverse=True)
    shown = found[: filters.limit]
    for transfer in shown:
        below[transfer.ledger] = transfer.sequence
    more = len(found) > filters.limit
    accounts = await _accounts_of(session, shown)
    return Page(
        items=[TransferOut.of(transfer, accounts) for transfer in shown],
        next_cursor=cursors.encode(carried, [below.get(ledger, EVERYTHING.end) for ledger in LedgerName])
        if more
        else None,
    )


async def _of_ledger(
    session: AsyncSession, ledger: LedgerName, filters: TransferFilters, below: int | None, limit: int
) -> Sequence[Transfer]:
    numbers = await numbers_between(session, ledger, filters.from_, filters.to)
    if below is not None:
        numbers = replace(numbers, end=min(numbers.end, below))
    if numbers.first >= numbers.end:
        return []
    which = await conditions(session, Which(filters.code, filters.reference, filters.fact))
    wanted = [Transfer.ledger == ledger, *which]
    statement = sides(filters.account, numbers, wanted, limit) if filters.account else page(wanted, numbers, limit)
    return (await session.scalars(statement)).all()


async def transfer_detail(session: AsyncSession, transfer_id: UUID) -> TransferDetail:
    """A transfer, and what is known of who posted it and why. Raises TransferNotFound."""
    transfer = await session.get(Transfer, transfer_id)
    if transfer is None:
        raise TransferNotFound
    back = aliased(Transfer)
    taken_back = await session.scalar(select(func.sum(back.amount)).where(back.reverses_id == transfer_id))
    reason = await session.scalar(select(TransferText.words).where(TransferText.transfer_id == transfer_id))
    by_hand = await session.scalar(select(ByHand).where(ByHand.subject_id == transfer_id))
    shown = TransferOut.of(transfer, await _accounts_of(session, [transfer]))
    return TransferDetail(
        **dict(shown),
        reversed=int(taken_back or 0),
        reason=reason,
        reason_erased_by=by_hand.erased_by if by_hand else None,
        posted_by=by_hand.done_by if by_hand else None,
        approved_by=by_hand.approved_by if by_hand else None,
        proposal=by_hand.proposal_id if by_hand else None,
    )


async def done_for_the_words_of(session: AsyncSession, subject_id: UUID) -> tuple[set[UUID], set[UUID]]:
    """What has the reason of a transfer or hold: it, all that was done with it for the same words (a batch), and the
    proposals that they came of: (transfers and holds, proposals).
    """
    own, other, text, others = aliased(ByHand), aliased(ByHand), aliased(TransferText), aliased(TransferText)
    rows = await session.execute(
        select(other.subject_id, other.proposal_id)
        .join_from(own, other, and_(other.done_by == own.done_by, other.done_at == own.done_at))
        .outerjoin(text, text.transfer_id == own.subject_id)
        .outerjoin(others, others.transfer_id == other.subject_id)
        .where(own.subject_id == subject_id)
        .where(
            # Where its own words were erased before, nobody knows any more which of the others' are the same: all go.
            func.coalesce(others.words, other.reason)
            == func.coalesce(text.words, own.reason, others.words, other.reason),
            own.proposal_id.is_not_distinct_from(other.proposal_id),
        )
    )
    found = rows.all()
    return {subject_id, *(row[0] for row in found)}, {row[1] for row in found if row[1] is not None}


async def done_by_proposal(session: AsyncSession, proposal_id: UUID) -> set[UUID]:
    """The transfers and holds that came of a proposal."""
    return set(await session.scalars(select(ByHand.subject_id).where(ByHand.proposal_id == proposal_id)))


async def erase_words(
    session: AsyncSession, subjects: Collection[UUID], proposals: Collection[UUID], by: UUID, at: datetime
) -> None:
    """Delete the words of transfers, holds and proposals, and note who did so first. All else stays as it was."""
    erased = {"erased_by": by, "erased_at": at}
    done = update(ByHand).where(ByHand.subject_id.in_(subjects), ByHand.erased_by.is_(None))
    await session.execute(done.values(reason=None, **erased))
    await session.execute(delete(TransferText).where(TransferText.transfer_id.in_(subjects)))
    proposed = update(Proposal).where(Proposal.id.in_(proposals), Proposal.erased_by.is_(None))
    await session.execute(proposed.values(reason=None, remark=None, **erased))


async def hold_detail(session: AsyncSession, hold_id: UUID) -> HoldDetail:
    """A hold as it is now, and what was done with it by hand. Raises HoldNotFound."""
    hold = await session.get(Hold, hold_id)
    if hold is None:
        raise HoldNotFound
    done = await session.scalars(select(ByHand).where(ByHand.subject_id == hold_id).order_by(ByHand.done_at))
    return HoldDetail(**dict(HoldOut.of(hold, clock.now())), by_hand=[HandActOut.of(row) for row in done])


async def list_proposals(session: AsyncSession, cursors: Cursors, filters: ProposalFilters) -> Page[ProposalOut]:
    """A page of proposals, the latest first. Raises InvalidCursor."""
    carried = {"list": "proposals"} | filters.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
    after = cursors.decode(filters.cursor, carried)
    at = clock.now()
    statement = select(Proposal).order_by(Proposal.id.desc()).limit(filters.limit + 1)
    if filters.state is not None:
        statement = statement.where(_is(filters.state, at))
    if after is not None:
        statement = statement.where(Proposal.id < UUID(str(after[0])))
    found = (await session.scalars(statement)).all()
    shown = found[: filters.limit]
    return Page(
        items=[ProposalOut.of(proposal, at) for proposal in shown],
        next_cursor=cursors.encode(carried, [str(shown[-1].id)]) if len(found) > filters.limit else None,
    )


async def proposal_detail(session: AsyncSession, proposal_id: UUID) -> ProposalDetail:
    """A proposal with all that it asks for. Raises ProposalNotFound."""
    proposal = await session.get(Proposal, proposal_id)
    if proposal is None:
        raise ProposalNotFound
    return ProposalDetail.of(proposal, clock.now())


def _is(state: ProposalState, at: datetime) -> ColumnElement[bool]:
    match state:
        case ProposalState.PENDING:
            return and_(Proposal.state == ProposalState.PENDING, Proposal.lapses_at > at)
        case ProposalState.LAPSED:
            return and_(Proposal.state == ProposalState.PENDING, Proposal.lapses_at <= at)
        case _:
            return Proposal.state == state


async def _accounts_of(session: AsyncSession, transfers: Sequence[Transfer]) -> Mapping[UUID, Account]:
    ids = {id_ for transfer in transfers for id_ in (transfer.debit_account_id, transfer.credit_account_id)}
    return await accounts_by_id(session, ids)
