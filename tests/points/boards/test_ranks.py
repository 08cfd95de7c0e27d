"""Ranks by counted buckets, and where periods begin."""

import random
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, text

from services.points.boards.queries import _APPLY, standings
from services.points.boards.rules import BEGINNING, ranks, starts_on
from services.points.boards.tables import Board
from services.points.boards.terms import BoardKind, BoardPeriod, Which
from services.points.terms import LedgerName
from tests.points.conftest import Points

BOARD = Which(LedgerName.STAFF, BoardPeriod.ALL, BEGINNING)


async def put(points: Points, scores: dict[UUID, int]) -> None:
    """Add these to the scores of a board of units."""
    given = "WITH delta AS (SELECT board.id AS board_id, s AS subject_id, p AS points FROM board, unnest(:ids, :points)"
    statement = text(f"{given} AS given (s, p)), {_APPLY}")
    async with points.db.transaction() as session:
        await session.execute(statement, {"ids": list(scores), "points": list(scores.values())})


@pytest.mark.parametrize("most", [3, 300, 70_000, 2**33], ids=["ties", "one level", "two levels", "beyond the levels"])
async def test_a_rank_counts_whoever_has_more_be_scores_small_or_huge_or_below_zero(
    own_points: Points, most: int
) -> None:
    chance = random.Random(most)
    async with own_points.db.transaction() as session:
        board = {"ledger": "staff", "kind": "unit", "period": "all", "starts_on": BEGINNING}
        await session.execute(insert(Board).values(**board))
    scores: dict[UUID, int] = {}
    for _ in range(3):  # what is added moves them from bucket to bucket
        change = {UUID(int=n): chance.randint(-most, most) for n in chance.sample(range(1, 400), 200)}
        scores = {who: scores.get(who, 0) + change.get(who, 0) for who in scores | change}
        await put(own_points, {who: points for who, points in change.items() if points})
    on_it = {who: score for who, score in scores.items() if score}
    async with own_points.db.transaction() as session:
        for who, score in scores.items():
            _, [found] = await standings(session, BOARD, {BoardKind.UNIT: who})
            rank = 1 + sum(other > score for other in on_it.values()) if score else None
            assert (found.rank, found.score, found.size) == (rank, score, len(on_it))


@given(st.lists(st.integers(-5, 5)).map(lambda found: sorted(found, reverse=True)))
def test_ties_share_a_rank(scores: list[int]) -> None:
    assert ranks(scores) == [1 + sum(other > score for other in scores) for score in scores]


@given(st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
def test_a_period_holds_its_moment_and_begins_where_the_calendar_says(moment: datetime) -> None:
    day = (moment + timedelta(hours=8)).date()
    lengths = {BoardPeriod.WEEK: 7, BoardPeriod.MONTH: 31, BoardPeriod.QUARTER: 92, BoardPeriod.YEAR: 366}
    for period, days in lengths.items():
        start = starts_on(period, moment)
        assert start <= day < start + timedelta(days=days)
        assert starts_on(period, datetime.combine(start, datetime.min.time(), UTC) - timedelta(hours=8)) == start
    assert starts_on(BoardPeriod.WEEK, moment).weekday() == 0
    assert starts_on(BoardPeriod.QUARTER, moment).month in (1, 4, 7, 10)
    assert starts_on(BoardPeriod.ALL, moment) == date(1970, 1, 1)
