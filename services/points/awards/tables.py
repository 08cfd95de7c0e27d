"""Rules, facts that met them, and the awards that came of it. Facts and rule versions are never edited."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.points.awards.terms import CapScope, Period, SubjectKind, Unit
from services.points.tables import Base, words
from services.points.terms import LedgerName, OwnerKind


class RuleVersion(Base):
    """What a rule gives from `effective_from` until the next version of the same code takes effect."""

    __tablename__ = "rule_version"
    __table_args__ = (
        UniqueConstraint("code", "effective_from"),
        CheckConstraint("points > 0", name="points"),
        CheckConstraint("effective_from >= approved_at", name="approved_before_effective"),
        CheckConstraint("num_nulls(cap_points, cap_period, cap_scope) IN (0, 3) AND cap_points > 0", name="cap"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ledger: Mapped[LedgerName]
    owner_kind: Mapped[OwnerKind]
    """Into whose wallet it pays."""
    points: Mapped[int]
    """For each `unit`."""
    unit: Mapped[Unit] = mapped_column(words(Unit))
    cap_points: Mapped[int | None]
    cap_period: Mapped[Period | None] = mapped_column(words(Period))
    cap_scope: Mapped[CapScope | None] = mapped_column(words(CapScope))
    name: Mapped[str]
    name_zh: Mapped[str]
    approved_at: Mapped[datetime]
    effective_from: Mapped[datetime]


class Fact(Base):
    """Something that happened elsewhere, as it was told, in the order in which it was accepted.

    `fact_id` is what the teller calls it (the claim, the meeting, the closure, the verification). The subject
    is what it is about, with the label by which people know that: an order's number, an activity's title. A
    fact that takes another back names that one's type in `withdraws` and bears its id; when it comes first it
    stands as the tombstone of what it withdraws.
    """

    __tablename__ = "fact"
    __table_args__ = (
        UniqueConstraint("type", "fact_id"),
        Index(None, "subject_id"),
        Index(None, "withdraws", "fact_id", postgresql_where=text("withdraws IS NOT NULL")),
    )

    position: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    """The order of acceptance: caps are used up in it, and a replay follows it. It grows, with gaps."""
    type: Mapped[str]
    fact_id: Mapped[UUID]
    withdraws: Mapped[str | None]
    subject_kind: Mapped[SubjectKind] = mapped_column(words(SubjectKind))
    subject_id: Mapped[UUID]
    subject_label: Mapped[str | None]
    occurred_at: Mapped[datetime]
    accepted_at: Mapped[datetime]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Award(Base):
    """What a fact earned under a rule: at most one that stands for a subject and rule.

    `points` of the `points_due` were granted; where a cap left less they differ, and where it left nothing
    there is no transfer. The person, household, unit and community are those to whom the award is credited
    in any ranking.
    """

    __tablename__ = "award"
    __table_args__ = (
        ForeignKeyConstraint(["rule_code", "rule_version"], ["rule_version.code", "rule_version.version"]),
        UniqueConstraint("fact_position", "rule_code"),
        UniqueConstraint("transfer_id"),
        Index(
            "uq_award_standing",
            "subject_id",
            "rule_code",
            unique=True,
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
        Index("ix_award_cap", "account_id", "rule_code", "occurred_at"),
        Index("ix_award_person_cap", "person_id", "rule_code", "occurred_at"),
        CheckConstraint("points BETWEEN 0 AND points_due", name="points"),
        CheckConstraint("(points = 0) = (transfer_id IS NULL)", name="transfer"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    fact_position: Mapped[int] = mapped_column(ForeignKey("fact.position"))
    subject_kind: Mapped[SubjectKind] = mapped_column(words(SubjectKind))
    subject_id: Mapped[UUID]
    rule_code: Mapped[str]
    rule_version: Mapped[int]
    account_id: Mapped[UUID]
    """The wallet of the owner whom the fact names, for whom caps count. It is opened by the first points that
    reach it, so a cap may name one that is not there; and where its household has joined another, the points
    went to that one's.
    """
    person_id: Mapped[UUID | None]
    household_id: Mapped[UUID | None]
    unit_id: Mapped[UUID | None]
    community_id: Mapped[UUID | None]
    points_due: Mapped[int]
    points: Mapped[int]
    transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfer.id"))
    occurred_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    """When the fact was taken back and the transfer reversed."""
