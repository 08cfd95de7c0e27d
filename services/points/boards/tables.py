"""Boards 排行榜: a projection of the ledger, kept up to a number of it that is written beside the scores.

Everything here follows from transfers, awards, allocations and mergers, and changes under the lock of its ledger's
`BoardMark` alone. `beiyuan points check` compares it with them.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Identity, Index, Integer, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from services.points.boards.terms import BoardKind, BoardPeriod
from services.points.tables import Base, words
from services.points.terms import LedgerName


class Board(Base):
    """One board: a ledger, whom it ranks, and the period that begins on a day."""

    __tablename__ = "board"
    __table_args__ = (UniqueConstraint("ledger", "kind", "period", "starts_on"),)

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    ledger: Mapped[LedgerName] = mapped_column(ForeignKey("ledger.name"))
    kind: Mapped[BoardKind] = mapped_column(words(BoardKind))
    period: Mapped[BoardPeriod] = mapped_column(words(BoardPeriod))
    starts_on: Mapped[date] = mapped_column(Date)


class BoardScore(Base):
    """What a subject has on a board. Whoever has nothing is not on it; a score may be below zero."""

    __tablename__ = "board_score"
    __table_args__ = (
        CheckConstraint("score <> 0", name="score"),
        Index("ix_board_score_rank", "board_id", "score", "subject_id"),
    )

    board_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    score: Mapped[int]


class BoardBucket(Base):
    """How many subjects of a board have a score of `bucket`, in units of 256 to the power of `level`.

    A rank is a sum over these: at each level the buckets above one's own within the next level's bucket, and at the
    last level all above. That is at most 255 rows a level, whatever the number of subjects (and some more where a
    score passes four thousand million).
    """

    __tablename__ = "board_bucket"

    board_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    bucket: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subjects: Mapped[int]


class BoardMark(Base):
    """Up to which of its numbers a ledger's boards have followed it. Its lock is that of all of them."""

    __tablename__ = "board_mark"

    ledger: Mapped[LedgerName] = mapped_column(ForeignKey("ledger.name"), primary_key=True)
    sequence: Mapped[int]
    posted_at: Mapped[datetime | None]
    """When the transfer of that number was posted; null before the first."""


class BoardHeir(Base):
    """A household that joined another, as far as the boards have followed, and the one that stands for it now."""

    __tablename__ = "board_heir"
    __table_args__ = (Index(None, "heir_id"),)

    ledger: Mapped[LedgerName] = mapped_column(ForeignKey("ledger.name"), primary_key=True)
    household_id: Mapped[UUID] = mapped_column(primary_key=True)
    heir_id: Mapped[UUID]
