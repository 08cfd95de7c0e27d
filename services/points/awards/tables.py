"""Rules, facts that met them, and the awards that came of it. Facts, rule versions and approvals are never edited."""

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

from services.points.awards.terms import CapScope, Period, SubjectKind
from services.points.tables import Base, words
from services.points.terms import LedgerName, OwnerKind


class RuleVersion(Base):
    """What a rule asks of a fact and what it gives for it: a draft, until a `RuleApproval` puts it in force.

    `condition` and `amount` are CEL over the fields of `fact_type` (`expressions.py`). The fields say which of the
    fact's own name the person, household, unit and community that an award is credited to, and the campaign.
    """

    __tablename__ = "rule_version"
    __table_args__ = (
        CheckConstraint("num_nulls(cap_points, cap_period, cap_scope) IN (0, 3) AND cap_points > 0", name="cap"),
        CheckConstraint("cap_period <> 'campaign' OR campaign_field IS NOT NULL", name="campaign"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ledger: Mapped[LedgerName]
    owner_kind: Mapped[OwnerKind]
    """Into whose wallet it pays: the person's or the household's whom the award is credited to."""
    fact_type: Mapped[str]
    condition: Mapped[str]
    amount: Mapped[str]
    person_field: Mapped[str | None]
    household_field: Mapped[str | None]
    unit_field: Mapped[str | None]
    community_field: Mapped[str | None]
    campaign_field: Mapped[str | None]
    cap_points: Mapped[int | None]
    cap_period: Mapped[Period | None] = mapped_column(words(Period))
    cap_scope: Mapped[CapScope | None] = mapped_column(words(CapScope))
    name: Mapped[str]
    name_zh: Mapped[str]
    drafted_by: Mapped[UUID | None]
    """Null for those that came with the system."""
    drafted_at: Mapped[datetime]
    not_before: Mapped[datetime | None]
    """When it is to take effect, if approved by then; null for as soon as it is approved."""


class RuleApproval(Base):
    """That a second administrator put a version in force: from `effective_from` until that of another version.

    `after_position` is the last fact that was accepted before: those after it meet the version if they happened while
    it is in force, and a replay knows it.
    """

    __tablename__ = "rule_approval"
    __table_args__ = (
        ForeignKeyConstraint(["code", "version"], ["rule_version.code", "rule_version.version"]),
        UniqueConstraint("code", "effective_from"),
        CheckConstraint("effective_from >= approved_at", name="approved_before_effective"),
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    approved_by: Mapped[UUID | None]
    approved_at: Mapped[datetime]
    effective_from: Mapped[datetime]
    after_position: Mapped[int]


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
        Index(None, "type", "occurred_at"),
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
    activity_id: Mapped[UUID | None]
    """The activity of an attendance, which is what its points are shown to be for."""
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
        Index(
            "ix_award_cap",
            "rule_code",
            "cap_holder_id",
            "cap_period",
            postgresql_where=text("cap_holder_id IS NOT NULL"),
        ),
        Index("ix_award_granted_later", "granted_position", postgresql_where=text("granted_position <> fact_position")),
        Index(None, "withdrawn_position", postgresql_where=text("withdrawn_position IS NOT NULL")),
        Index("ix_award_withdrawn_subject", "subject_id", postgresql_where=text("withdrawn_position IS NOT NULL")),
        CheckConstraint("points BETWEEN 0 AND points_due", name="points"),
        CheckConstraint("(points = 0) = (transfer_id IS NULL)", name="transfer"),
        CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_position IS NULL)", name="withdrawn"),
        CheckConstraint("num_nulls(cap_scope, cap_holder_id, cap_period) IN (0, 3)", name="cap"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    fact_position: Mapped[int] = mapped_column(ForeignKey("fact.position"))
    granted_position: Mapped[int] = mapped_column(ForeignKey("fact.position"))
    """Upon whose acceptance it was granted: its own fact's, or that of the withdrawal of what had earned it before."""
    subject_kind: Mapped[SubjectKind] = mapped_column(words(SubjectKind))
    subject_id: Mapped[UUID]
    rule_code: Mapped[str]
    rule_version: Mapped[int]
    account_id: Mapped[UUID]
    """The wallet of the owner whom the fact names. It is opened by the first points that reach it, so an award that
    a cap left nothing of may name one that is not there; and where its household has joined another, the points went
    to that one's.
    """
    person_id: Mapped[UUID | None]
    household_id: Mapped[UUID | None]
    unit_id: Mapped[UUID | None]
    community_id: Mapped[UUID | None]
    cap_scope: Mapped[CapScope | None] = mapped_column(words(CapScope))
    """Whose cap it counts in: with the rule and the next two, a row of `cap_use`."""
    cap_holder_id: Mapped[UUID | None]
    cap_period: Mapped[str | None]
    points_due: Mapped[int]
    points: Mapped[int]
    transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfer.id"))
    occurred_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    """When the fact was taken back and the transfer reversed."""
    withdrawn_position: Mapped[int | None] = mapped_column(ForeignKey("fact.position"))
    """The fact that took it back."""
