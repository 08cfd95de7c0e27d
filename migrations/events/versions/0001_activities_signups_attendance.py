"""Households as identity tells them, activities, sign-ups, attendance."""

import sqlalchemy as sa
from alembic import op

from chassis.core.migrations import create_chassis_tables, create_job_tables

revision = "events_0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
WORD = sa.String(20)


def upgrade() -> None:
    create_chassis_tables()
    create_job_tables()
    _create_households()
    _create_activities()
    _create_signups()
    _create_attendance()


def _create_households() -> None:
    op.create_table(
        "household",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("dissolved_into", sa.Uuid),
        sa.PrimaryKeyConstraint("id", name="pk_household"),
    )
    op.create_table(
        "member",
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("child", sa.Boolean, nullable=False),
        sa.Column("consented", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name="fk_member_household_id"),
        sa.PrimaryKeyConstraint("household_id", "person_id", name="pk_member"),
    )
    op.create_index("ix_member_person_id", "member", ["person_id"])


def _create_activities() -> None:
    op.create_table(
        "activity",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("organisation_id", sa.Uuid, nullable=False),
        sa.Column("organiser_id", sa.Uuid, nullable=False),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("category", WORD, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("place", sa.String(200), nullable=False),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("last_rank", sa.Integer, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("published_at", INSTANT),
        sa.Column("ended_at", INSTANT),
        sa.CheckConstraint("state <> 'running'", name=op.f("ck_activity_running_is_derived")),
        sa.CheckConstraint("capacity > 0 AND taken BETWEEN 0 AND capacity", name=op.f("ck_activity_seats")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_activity_ends_after_start")),
        sa.PrimaryKeyConstraint("id", name="pk_activity"),
    )
    op.create_index("ix_activity_organisation_id_starts_at_id", "activity", ["organisation_id", "starts_at", "id"])
    op.create_index("ix_activity_starts_at_id", "activity", ["starts_at", "id"])
    op.create_index("ix_activity_state_ends_at", "activity", ["state", "ends_at"])
    op.create_table(
        "activity_change",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("activity_id", sa.Uuid, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("by_id", sa.Uuid),
        sa.Column("from_state", WORD),
        sa.Column("to_state", WORD, nullable=False),
        sa.Column("why", sa.String(500)),
        sa.PrimaryKeyConstraint("id", name="pk_activity_change"),
    )
    op.create_index("ix_activity_change_activity_id", "activity_change", ["activity_id"])
    op.create_table(
        "organisation_setting",
        sa.Column("organisation_id", sa.Uuid, nullable=False),
        sa.Column("review_before_publication", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", name="pk_organisation_setting"),
    )


def _create_signups() -> None:
    op.create_table(
        "signup",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("activity_id", sa.Uuid, nullable=False),
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("by_id", sa.Uuid, nullable=False),
        sa.Column("seats", sa.Integer, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("rank", sa.Integer),
        sa.Column("passed_over", sa.Integer, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.Column("why", sa.String(40)),
        sa.CheckConstraint("state <> 'waitlisted' OR rank IS NOT NULL", name=op.f("ck_signup_waitlisted_has_rank")),
        sa.CheckConstraint("seats > 0", name=op.f("ck_signup_seats")),
        sa.ForeignKeyConstraint(["activity_id"], ["activity.id"], name="fk_signup_activity_id"),
        sa.PrimaryKeyConstraint("id", name="pk_signup"),
    )
    op.create_index("ix_signup_activity_id", "signup", ["activity_id"])
    op.create_index("ix_signup_household_id_id", "signup", ["household_id", "id"])
    op.create_index(
        "uq_signup_rank", "signup", ["activity_id", "rank"], unique=True, postgresql_where=sa.text("rank IS NOT NULL")
    )
    op.create_table(
        "signup_member",
        sa.Column("signup_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("activity_id", sa.Uuid, nullable=False),
        sa.Column("child", sa.Boolean, nullable=False),
        sa.Column("living", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["activity_id"], ["activity.id"], name="fk_signup_member_activity_id"),
        sa.ForeignKeyConstraint(["signup_id"], ["signup.id"], name="fk_signup_member_signup_id"),
        sa.PrimaryKeyConstraint("signup_id", "person_id", name="pk_signup_member"),
    )
    op.create_index("ix_signup_member_person_id", "signup_member", ["person_id"])
    op.create_index(
        "uq_signup_member_living",
        "signup_member",
        ["activity_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("living"),
    )


def _create_attendance() -> None:
    op.create_table(
        "attendance",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("activity_id", sa.Uuid, nullable=False),
        sa.Column("signup_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("checked_in_at", INSTANT),
        sa.Column("checked_out_at", INSTANT),
        sa.Column("why", sa.String(40)),
        sa.CheckConstraint(
            "checked_out_at IS NULL OR checked_out_at >= checked_in_at", name=op.f("ck_attendance_out_after_in")
        ),
        sa.ForeignKeyConstraint(["activity_id"], ["activity.id"], name="fk_attendance_activity_id"),
        sa.ForeignKeyConstraint(["signup_id"], ["signup.id"], name="fk_attendance_signup_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attendance"),
        sa.UniqueConstraint("activity_id", "person_id", name="uq_attendance_activity_id_person_id"),
    )
    op.create_index("ix_attendance_signup_id", "attendance", ["signup_id"])
    op.create_index("ix_attendance_person_id", "attendance", ["person_id"])
    op.create_table(
        "verification",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("attendance_id", sa.Uuid, nullable=False),
        sa.Column("minutes", sa.Integer, nullable=False),
        sa.Column("adjusted", sa.Boolean, nullable=False),
        sa.Column("reason", sa.String(500)),
        sa.Column("verified_by", sa.Uuid, nullable=False),
        sa.Column("verified_at", INSTANT, nullable=False),
        sa.Column("withdrawn_at", INSTANT),
        sa.CheckConstraint("NOT adjusted OR reason IS NOT NULL", name=op.f("ck_verification_adjusted_with_reason")),
        sa.CheckConstraint("minutes >= 0 AND minutes % 15 = 0", name=op.f("ck_verification_quarters")),
        sa.ForeignKeyConstraint(["attendance_id"], ["attendance.id"], name="fk_verification_attendance_id"),
        sa.PrimaryKeyConstraint("id", name="pk_verification"),
    )
    op.create_index(
        "uq_verification_standing",
        "verification",
        ["attendance_id"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    op.create_table(
        "venue_tries",
        sa.Column("activity_id", sa.Uuid, nullable=False),
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("hour", INSTANT, nullable=False),
        sa.Column("wrong", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("activity_id", "household_id", "hour", name="pk_venue_tries"),
    )
    op.create_index("ix_venue_tries_hour", "venue_tries", ["hour"])
