"""Following the ledger: what was posted goes onto the boards, in the order of numbers, a set at a time.

The score of a subject is the sum of what was awarded and credited to it less what was reversed of that, each in the
period in which it was posted. On the board of all time also less what expired of those awards, and plus what a reversal
took back from the expired account. A household that joined another is that other one from then on, on the
boards of past periods too: what was, and will be, credited to it is its heir's (they are one family, and the family
finds all its points in one place). Who has nothing is not on the board.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.boards import queries
from services.points.boards.errors import BoardsBehind
from services.points.boards.queries import Mark
from services.points.boards.rules import BEGINNING
from services.points.boards.terms import BoardKind
from services.points.terms import LedgerName

T = TypeVar("T")

STRIDE = 5_000
"""How many transfers are followed at once."""
MOST_BEHIND = 20_000
"""How far behind the boards may be for a reader to bring them up to date: some seconds' work."""

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

_MARK = """
UPDATE board_mark SET sequence = :upto, posted_at = transfer.posted_at FROM transfer
 WHERE board_mark.ledger = :ledger AND transfer.ledger = :ledger AND transfer.sequence = :upto
"""


async def read(
    session: AsyncSession, ledger: LedgerName, ask: Callable[[], Awaitable[tuple[Mark, T]]]
) -> tuple[Mark, T]:
    """What `ask` answers from the boards, once they have followed the ledger to its last committed transfer.

    Mostly they have, and nothing is locked. Otherwise they are brought up to date first, in this transaction, and the
    answer is of the number reached. Raises BoardsBehind where that is too much for a reader.
    """
    mark, answer = await ask()
    if mark.current:
        return mark, answer
    if mark.behind > MOST_BEHIND:
        raise BoardsBehind
    after = await queries.lock_mark(session, ledger)
    assert after is not None
    await _follow(session, ledger, after, await queries.last_sequence(session, ledger))
    return await ask()


async def follow_once(session: AsyncSession, ledger: LedgerName) -> bool:
    """Bring a ledger's boards one stride further, unless somebody else does so now; whether more is left to do."""
    if (await queries.mark_of(session, ledger)).current:
        return False
    after = await queries.lock_mark(session, ledger, wait=False)
    if after is None:
        return False
    last = await queries.last_sequence(session, ledger)
    upto = min(after + STRIDE, last)
    await _follow(session, ledger, after, upto)
    return upto < last


async def _follow(session: AsyncSession, ledger: LedgerName, after: int, last: int) -> None:
    """Follow the ledger from one number to another, under the boards' lock."""
    while True:
        upto = min(after + STRIDE, last)
        for old, new in await queries.unfollowed_mergers(session, ledger, after, upto):
            await _merge(session, ledger, old, new)
        if upto == after:
            return
        span = {"ledger": ledger, "after": after, "upto": upto}
        await session.execute(text(_OPEN_BOARDS), {**span, "kinds": [kind.value for kind in BoardKind]})
        await session.execute(text(_DELTAS_OF_TRANSFERS + _APPLY), span)
        await session.execute(text(_MARK), {"ledger": ledger, "upto": upto})
        after = upto


async def _merge(session: AsyncSession, ledger: LedgerName, old: UUID, new: UUID) -> None:
    names = {"ledger": ledger, "old": old}
    heir = await session.scalar(text(_NAME_HEIR), {**names, "new": new})
    await session.execute(text(_HAND_ON), {**names, "heir": heir})
    await session.execute(text(_DELTAS_OF_MERGER + _APPLY), {**names, "heir": heir})
