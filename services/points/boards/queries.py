"""What is read of the boards, and the statements by which they follow the ledger.

Each answer is one statement: scores and the number that they belong to are of the same moment, without any lock.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.boards.rules import BEGINNING
from services.points.boards.tables import BoardMark
from services.points.boards.terms import BoardKind, Mark, Standing, Top, Which
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

_PART = """
WITH part AS MATERIALIZED (
 SELECT id, code, amount, reverses_id, (posted_at AT TIME ZONE 'Asia/Shanghai')::date AS day FROM transfer
  WHERE ledger = :ledger AND sequence > :after AND sequence <= :upto AND code IN ('award', 'reversal', 'expiry')
)
"""
_SPANS = f"""
(VALUES ('week', date_trunc('week', day::timestamp)::date), ('month', date_trunc('month', day::timestamp)::date),
 ('quarter', date_trunc('quarter', day::timestamp)::date), ('year', date_trunc('year', day::timestamp)::date),
 ('all', DATE '{BEGINNING}')
) AS span (period, starts_on)
"""

_OPEN_BOARDS = f"""{_PART}
INSERT INTO board (ledger, kind, period, starts_on)
 SELECT DISTINCT CAST(:ledger AS text), kind, span.period, span.starts_on FROM (SELECT DISTINCT day FROM part) AS days
  CROSS JOIN unnest(CAST(:kinds AS text[])) AS kind CROSS JOIN LATERAL {_SPANS}
 EXCEPT SELECT ledger, kind, period, starts_on FROM board WHERE ledger = :ledger
"""  # noqa: S608  # constants

# What expired counts on no board but that of all time, whose day it is given. Which boards a day has is worked out for
# each day, not for each award.
_DELTAS_OF_TRANSFERS = f"""{_PART},
credited AS (
 SELECT person_id, unit_id, household_id, community_id, day,
   CASE part.code WHEN 'award' THEN part.amount ELSE -part.amount END AS points
  FROM part JOIN award ON award.transfer_id = CASE part.code WHEN 'award' THEN part.id ELSE part.reverses_id END
  WHERE part.code <> 'expiry'
 UNION ALL
 SELECT person_id, unit_id, household_id, community_id, DATE '{BEGINNING}', allocation.amount
  FROM part JOIN allocation ON allocation.cause_id = part.id JOIN award ON award.transfer_id = allocation.lot_id
  WHERE part.code = 'expiry' OR part.code = 'reversal'
   AND EXISTS (SELECT FROM transfer expiry WHERE expiry.id = part.reverses_id AND expiry.code = 'expiry')
),
daily AS (
 SELECT subject.kind, subject.id, day, sum(points) AS points
  FROM credited
  LEFT JOIN board_heir heir ON heir.ledger = :ledger AND heir.household_id = credited.household_id
  CROSS JOIN LATERAL (VALUES ('person', person_id), ('unit', unit_id), ('community', community_id),
   ('household', coalesce(heir.heir_id, credited.household_id))) AS subject (kind, id)
  WHERE subject.id IS NOT NULL GROUP BY 1, 2, 3
),
place AS MATERIALIZED (
 SELECT board.kind, day, board.id AS board_id FROM (SELECT DISTINCT day FROM part) AS days CROSS JOIN LATERAL {_SPANS}
  JOIN board ON board.ledger = :ledger AND board.period = span.period AND board.starts_on = span.starts_on
 UNION ALL
 SELECT kind, DATE '{BEGINNING}', id FROM board WHERE ledger = :ledger AND period = 'all'
),
delta AS MATERIALIZED (
 SELECT board_id, id AS subject_id, sum(points)::bigint AS points FROM daily JOIN place USING (kind, day)
  GROUP BY 1, 2 HAVING sum(points) <> 0
),
"""  # noqa: S608  # constants

_DELTAS_OF_MERGER = """
WITH delta AS MATERIALIZED (
 SELECT board_id, side.subject_id, side.points
  FROM board JOIN board_score ON board_id = board.id AND board_score.subject_id = :old
  CROSS JOIN LATERAL (VALUES (CAST(:old AS uuid), -score), (CAST(:heir AS uuid), score)) AS side (subject_id, points)
  WHERE board.ledger = :ledger AND board.kind = 'household'
),
"""

# Under the boards' lock what this reads as the old score is what it replaces. Who has nothing is in no bucket.
_APPLY = """
change AS MATERIALIZED (
 SELECT board_id, subject_id, coalesce(score, 0) AS old, coalesce(score, 0) + points AS new
  FROM delta LEFT JOIN board_score USING (board_id, subject_id)
),
written AS (
 INSERT INTO board_score (board_id, subject_id, score)
  SELECT board_id, subject_id, new FROM change WHERE new <> 0 ORDER BY board_id, subject_id
  ON CONFLICT (board_id, subject_id) DO UPDATE SET score = excluded.score
),
cleared AS (
 DELETE FROM board_score USING change
  WHERE board_score.board_id = change.board_id AND board_score.subject_id = change.subject_id AND new = 0
),
counted AS (
 SELECT board_id, level, side.score >> 8 * level AS bucket, sum(side.subjects)::bigint AS subjects
  FROM change CROSS JOIN LATERAL (VALUES (new, 1), (old, -1)) AS side (score, subjects)
  CROSS JOIN generate_series(0, 3) AS level
  WHERE side.score <> 0 GROUP BY 1, 2, 3 HAVING sum(side.subjects) <> 0
)
INSERT INTO board_bucket (board_id, level, bucket, subjects)
 SELECT board_id, level, bucket, subjects FROM counted ORDER BY board_id, level, bucket
 ON CONFLICT (board_id, level, bucket) DO UPDATE SET subjects = board_bucket.subjects + excluded.subjects
"""

_NAME_HEIR = """
INSERT INTO board_heir (ledger, household_id, heir_id)
 SELECT name, :old, coalesce((SELECT heir_id FROM board_heir WHERE ledger = name AND household_id = :new), :new)
  FROM ledger WHERE name = :ledger
 RETURNING heir_id
"""
_HAND_ON = "UPDATE board_heir SET heir_id = :heir WHERE ledger = :ledger AND heir_id = :old"

_FOLLOWED = """
UPDATE board_mark SET sequence = :upto, posted_at = transfer.posted_at FROM transfer
 WHERE board_mark.ledger = :ledger AND transfer.ledger = :ledger AND transfer.sequence = :upto
"""


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


async def follow_transfers(session: AsyncSession, ledger: LedgerName, after: int, upto: int) -> None:
    """Count what was posted after one number and up to another. The boards' lock is held."""
    span = {"ledger": ledger, "after": after, "upto": upto}
    await session.execute(text(_OPEN_BOARDS), {**span, "kinds": [kind.value for kind in BoardKind]})
    await session.execute(text(_DELTAS_OF_TRANSFERS + _APPLY), span)
    await session.execute(text(_FOLLOWED), {"ledger": ledger, "upto": upto})


async def follow_merger(session: AsyncSession, ledger: LedgerName, old: UUID, new: UUID) -> None:
    """Hand what a household was credited with to the one that it joined. The boards' lock is held."""
    names = {"ledger": ledger, "old": old}
    heir = await session.scalar(text(_NAME_HEIR), {**names, "new": new})
    await session.execute(text(_HAND_ON), {**names, "heir": heir})
    await session.execute(text(_DELTAS_OF_MERGER + _APPLY), {**names, "heir": heir})
