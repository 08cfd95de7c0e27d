"""The boards as plain Python finds them by going through the whole ledger: dicts and loops, no cleverness."""

from collections import defaultdict
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.beijing import BEIJING
from services.points.awards.tables import Award
from services.points.boards.tables import Board, BoardScore
from services.points.ledger.tables import Account, Allocation, Merger, Transfer
from services.points.terms import LedgerName

Boards = dict[tuple[str, str, str, date], dict[UUID, int]]
"""By ledger, kind, period and first day: who has how much."""


async def recount(session: AsyncSession, upto: dict[LedgerName, int]) -> Boards:
    """All boards from transfers, awards, allocations and mergers up to a number of each ledger."""
    transfers = {transfer.id: transfer for transfer in await session.scalars(select(Transfer))}
    awards = {award.transfer_id: award for award in await session.scalars(select(Award))}
    allocations = (await session.scalars(select(Allocation))).all()
    owners = {account.id: account.owner_id for account in await session.scalars(select(Account))}
    joined = {
        owners[merger.old_account_id]: owners[merger.new_account_id]
        for merger in await session.scalars(select(Merger))
        if merger.sequence <= upto[merger.ledger]
    }
    boards: Boards = defaultdict(lambda: defaultdict(int))

    def credit(award: Award, transfer: Transfer, amount: int, *, everywhere: bool) -> None:
        household = award.household_id
        while household in joined:
            household = joined[household]
        kinds = {
            "person": award.person_id,
            "unit": award.unit_id,
            "household": household,
            "community": award.community_id,
        }
        for kind, subject in kinds.items():
            if subject is not None:
                for period, start in periods(transfer).items():
                    if everywhere or period == "all":
                        boards[transfer.ledger.value, kind, period, start][subject] += amount

    for transfer in transfers.values():
        if transfer.sequence > upto[transfer.ledger]:
            continue
        if transfer.id in awards:
            credit(awards[transfer.id], transfer, transfer.amount, everywhere=True)
        if transfer.reverses_id in awards and transfer.reverses_id is not None:
            credit(awards[transfer.reverses_id], transfer, -transfer.amount, everywhere=True)
        undone = transfers.get(transfer.reverses_id) if transfer.reverses_id else None
        if transfer.code == "expiry" or (undone and undone.code == "expiry"):
            for allocation in allocations:
                if allocation.cause_id == transfer.id and allocation.lot_id in awards:
                    credit(awards[allocation.lot_id], transfer, allocation.amount, everywhere=False)
    found = {key: {who: score for who, score in board.items() if score} for key, board in boards.items()}
    return {key: board for key, board in found.items() if board}


def periods(transfer: Transfer) -> dict[str, date]:
    """The first days, in Beijing, of the periods that it was posted in."""
    day = transfer.posted_at.astimezone(BEIJING).date()
    return {
        "week": day - timedelta(days=day.isoweekday() - 1),
        "month": date(day.year, day.month, 1),
        "quarter": date(day.year, [1, 4, 7, 10][(day.month - 1) // 3], 1),
        "year": date(day.year, 1, 1),
        "all": date(1970, 1, 1),
    }


async def stored(session: AsyncSession) -> Boards:
    """The boards as they are kept."""
    boards: Boards = defaultdict(dict)
    rows = await session.execute(select(Board, BoardScore).join(BoardScore, BoardScore.board_id == Board.id))
    for board, line in rows:
        key = (board.ledger.value, board.kind.value, board.period.value, board.starts_on)
        boards[key][line.subject_id] = line.score
    return dict(boards)
