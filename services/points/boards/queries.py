"""What is read of the boards.

Each answer is one statement: scores and the number that they belong to are of the same moment, without any lock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.boards.tables import BoardMark
from services.points.boards.terms import BoardKind, BoardPeriod
from services.points.terms import LedgerName

_LEVELS = """
  SELECT subjects FROM board_bucket
   WHERE board_id = board.id AND level = 0 AND bucket > score.score AND bucket <= (score.score | 255)
  UNION ALL SELECT subjects FROM board_bucket
   WHERE board_id = board.id AND level = 1 AND bucket > score.score >> 8 AND bucket <= (score.score >> 8 | 255)
  UNION ALL SELECT subjects FROM board_bucket
   WHERE board_id = board.id AND level = 2 AND bucket > score.score >> 16 AND bucket <= (score.score >> 16 | 255)
  UNION ALL SELECT subjects FROM board_bucket
   WHERE board_id = board.id AND level = 3 AND bucket > score.score >> 24
"""
"""How many have more than `score.score` (`tables.BoardBucket`). Shifting rounds towards less than zero, as it must."""

_MARK = """
 mark.sequence, mark.posted_at, ledger.last_sequence - mark.sequence AS behind,
 EXISTS (SELECT FROM merger JOIN account old ON old.id = merger.old_account_id
  WHERE merger.ledger = mark.ledger AND merger.sequence >= mark.sequence AND old.owner_kind = 'household'
  AND NOT EXISTS (SELECT FROM board_heir heir WHERE heir.ledger = mark.ledger AND heir.household_id = old.owner_id)
 ) AS unmerged
"""
_SIZE = "SELECT coalesce(sum(subjects), 0)::bigint AS size FROM board_bucket WHERE board_id = board.id AND level = 3"

_TOP = text(
    f"""
SELECT {_MARK}, board_size.size, line.subject_id, line.score
 FROM board_mark mark JOIN ledger ON ledger.name = mark.ledger
 LEFT JOIN board ON board.ledger = mark.ledger AND board.kind = :kind AND board.period = :period
  AND board.starts_on = :starts_on
 CROSS JOIN LATERAL ({_SIZE}) AS board_size
 LEFT JOIN LATERAL (
  SELECT subject_id, score FROM board_score WHERE board_id = board.id ORDER BY score DESC, subject_id DESC LIMIT :limit
 ) AS line ON true
 WHERE mark.ledger = :ledger ORDER BY line.score DESC, line.subject_id DESC
"""  # noqa: S608  # constants
)

_STANDINGS = text(
    f"""
SELECT {_MARK}, board_size.size, wanted.kind, score.score, above.subjects
 FROM board_mark mark JOIN ledger ON ledger.name = mark.ledger
 CROSS JOIN unnest(CAST(:kinds AS text[]), CAST(:subjects AS uuid[])) AS wanted (kind, subject_id)
 LEFT JOIN board ON board.ledger = mark.ledger AND board.kind = wanted.kind AND board.period = :period
  AND board.starts_on = :starts_on
 CROSS JOIN LATERAL ({_SIZE}) AS board_size
 LEFT JOIN board_score score ON score.board_id = board.id AND score.subject_id = wanted.subject_id
 LEFT JOIN LATERAL (SELECT coalesce(sum(subjects), 0)::bigint AS subjects FROM ({_LEVELS}) AS higher) AS above ON true
 WHERE mark.ledger = :ledger
"""  # noqa: S608  # constants
)


@dataclass(frozen=True, slots=True)
class Mark:
    """The ledger's number that an answer belongs to, and what of the ledger is not in it yet."""

    sequence: int
    posted_at: datetime | None
    behind: int
    unmerged: bool

    @property
    def current(self) -> bool:
        """Whether everything that was committed is in it."""
        return self.behind == 0 and not self.unmerged


@dataclass(frozen=True, slots=True)
class Which:
    """A period's boards of a ledger."""

    ledger: LedgerName
    period: BoardPeriod
    starts_on: date


@dataclass(frozen=True, slots=True)
class Top:
    """The highest scores of a board, and how many are on it."""

    mark: Mark
    size: int
    lines: Sequence[tuple[UUID, int]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody is on a board of `size` others and them. Who is not on it has no rank, and nothing."""

    kind: BoardKind
    subject_id: UUID
    size: int
    rank: int | None
    score: int


async def top(session: AsyncSession, which: Which, kind: BoardKind, limit: int) -> Top:
    """The `limit` highest of a board, by its index; of those who tie at the end, some."""
    rows = await _rows(session, _TOP, which, {"kind": kind, "limit": limit})
    lines = [(row["subject_id"], row["score"]) for row in rows if row["subject_id"] is not None]
    return Top(_mark(rows[0]), rows[0]["size"], lines)


async def standings(
    session: AsyncSession, which: Which, own: Mapping[BoardKind, UUID]
) -> tuple[Mark, Sequence[Standing]]:
    """The rank and score of each of these subjects on the board of their kind, by sums over its buckets."""
    wanted = {"kinds": [kind.value for kind in own], "subjects": list(own.values())}
    rows = await _rows(session, _STANDINGS, which, wanted)
    found = [
        Standing(
            kind=BoardKind(row["kind"]),
            subject_id=own[BoardKind(row["kind"])],
            size=row["size"],
            rank=None if row["score"] is None else row["subjects"] + 1,
            score=row["score"] or 0,
        )
        for row in rows
    ]
    return _mark(rows[0]), found


async def _rows(
    session: AsyncSession, statement: TextClause, which: Which, further: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    values = {"ledger": which.ledger, "period": which.period, "starts_on": which.starts_on}
    return (await session.execute(statement, {**values, **further})).mappings().all()  # type: ignore[return-value]  # rows are read by their names alone


def _mark(row: Mapping[str, Any]) -> Mark:
    return Mark(row["sequence"], row["posted_at"], row["behind"], row["unmerged"])


async def lock_mark(session: AsyncSession, ledger: LedgerName, *, wait: bool = True) -> int | None:
    """Lock the boards of a ledger until the transaction ends; the number that they have followed to.

    None where somebody else has the lock and we do not wait for it. Being a statement of its own, it makes what is read
    after it include what its last holder committed.
    """
    mark = select(BoardMark.sequence).where(BoardMark.ledger == ledger).with_for_update(skip_locked=not wait)
    return await session.scalar(mark)


async def last_sequence(session: AsyncSession, ledger: LedgerName) -> int:
    """The number of a ledger's last committed transfer; every smaller one is committed too."""
    statement = text("SELECT last_sequence FROM ledger WHERE name = :ledger")
    return int((await session.execute(statement, {"ledger": ledger})).scalar_one())


async def mark_of(session: AsyncSession, ledger: LedgerName) -> Mark:
    """How far a ledger's boards are, without their lock."""
    statement = text(
        f"SELECT {_MARK} FROM board_mark mark JOIN ledger ON ledger.name = mark.ledger"  # noqa: S608  # constants
        " WHERE mark.ledger = :ledger"
    )
    return _mark(dict((await session.execute(statement, {"ledger": ledger})).mappings().one()))


async def unfollowed_mergers(
    session: AsyncSession, ledger: LedgerName, after: int, upto: int
) -> Sequence[tuple[UUID, UUID]]:
    """Households that joined others after transfers `after` to `upto` and are not among the heirs: (old, new).

    One that had no points left has no transfer: its merger bears the number before, which was followed already.
    """
    statement = text(
        "SELECT old.owner_id AS old_id, new.owner_id AS new_id FROM merger"
        " JOIN account old ON old.id = merger.old_account_id JOIN account new ON new.id = merger.new_account_id"
        " WHERE merger.ledger = :ledger AND merger.sequence BETWEEN :after AND :upto AND old.owner_kind = 'household'"
        " AND NOT EXISTS (SELECT FROM board_heir heir"
        "  WHERE heir.ledger = merger.ledger AND heir.household_id = old.owner_id)"
        " ORDER BY merger.sequence, merger.merged_at, merger.id"
    )
    rows = await session.execute(statement, {"ledger": ledger, "after": after, "upto": upto})
    return [(old_id, new_id) for old_id, new_id in rows]
