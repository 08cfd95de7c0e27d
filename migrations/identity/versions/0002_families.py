"""Families: births, guardians, consents, invitations; accounts that are deleted; households that others are told of."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "identity_0002"
down_revision = "identity_0001"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _change_people()
    _change_households()
    _create_guardianship()
    _create_invitations()
    _tell_of_households()


def _change_people() -> None:
    op.add_column("person", sa.Column("birth_sealed", sa.LargeBinary))
    op.alter_column("person", "name_sealed", existing_type=sa.LargeBinary, nullable=True)
    op.execute("UPDATE person SET name_sealed = NULL, child = false WHERE state = 'deleted'")
    op.create_check_constraint(
        op.f("ck_person_active_with_name"), "person", "(state = 'active') = (name_sealed IS NOT NULL)"
    )
    op.create_check_constraint(
        op.f("ck_person_birth_of_child"), "person", "birth_sealed IS NULL OR (child AND state = 'active')"
    )
    op.create_index("ix_person_births", "person", ["id"], postgresql_where=sa.text("birth_sealed IS NOT NULL"))


def _change_households() -> None:
    op.add_column("household", sa.Column("changed_at", INSTANT))
    op.add_column("household", sa.Column("version", sa.Integer))
    op.add_column("household", sa.Column("dissolved_into", sa.Uuid))
    op.execute("UPDATE household SET changed_at = recorded_at, version = 1")
    op.alter_column("household", "changed_at", nullable=False)
    op.alter_column("household", "version", nullable=False)
    op.create_foreign_key("fk_household_dissolved_into", "household", "household", ["dissolved_into"], ["id"])
    op.create_check_constraint(op.f("ck_household_dissolved_into_other"), "household", "dissolved_into <> id")


def _create_guardianship() -> None:
    op.create_table(
        "guardianship",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("child_id", sa.Uuid, nullable=False),
        sa.Column("guardian_id", sa.Uuid, nullable=False),
        sa.Column("began_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_guardianship"),
        sa.ForeignKeyConstraint(["child_id"], ["person.id"], name="fk_guardianship_child_id"),
        sa.ForeignKeyConstraint(["guardian_id"], ["person.id"], name="fk_guardianship_guardian_id"),
        sa.CheckConstraint("child_id <> guardian_id", name=op.f("ck_guardianship_guardian_is_other")),
    )
    op.create_index(
        "uq_guardianship_living",
        "guardianship",
        ["child_id", "guardian_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_guardianship_guardian_id", "guardianship", ["guardian_id"])
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("child_id", sa.Uuid, nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("text_version", sa.String(40), nullable=False),
        sa.Column("given_at", INSTANT, nullable=False),
        sa.Column("given_by", sa.Uuid, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.Column("ended_by", sa.Uuid),
        sa.Column("ended_because", sa.String(20)),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
        sa.ForeignKeyConstraint(["child_id"], ["person.id"], name="fk_consent_child_id"),
        sa.ForeignKeyConstraint(["given_by"], ["person.id"], name="fk_consent_given_by"),
        sa.ForeignKeyConstraint(["ended_by"], ["person.id"], name="fk_consent_ended_by"),
        sa.CheckConstraint("purpose IN ('child_record', 'activities')", name=op.f("ck_consent_purpose")),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_because IS NULL)", name=op.f("ck_consent_ended_whole")),
        sa.CheckConstraint("ended_at IS NOT NULL OR ended_by IS NULL", name=op.f("ck_consent_ended_by_whole")),
    )
    op.create_index(
        "uq_consent_living",
        "consent",
        ["child_id", "purpose"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_consent_child_id", "consent", ["child_id"])


def _create_invitations() -> None:
    op.create_table(
        "invitation",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("code_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT),
        sa.Column("used_by", sa.Uuid),
        sa.Column("ended_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_invitation"),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name="fk_invitation_household_id"),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name="fk_invitation_created_by"),
        sa.ForeignKeyConstraint(["used_by"], ["person.id"], name="fk_invitation_used_by"),
        sa.UniqueConstraint("code_hash", name="uq_invitation_code_hash"),
        sa.CheckConstraint("(used_at IS NULL) = (used_by IS NULL)", name=op.f("ck_invitation_used_whole")),
        sa.CheckConstraint("used_at IS NULL OR ended_at IS NULL", name=op.f("ck_invitation_used_or_ended")),
    )
    op.create_index("ix_invitation_household_id", "invitation", ["household_id"])
    op.create_index("ix_invitation_expires_at", "invitation", ["expires_at"])
    op.create_table(
        "join_tries",
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("hour", INSTANT, nullable=False),
        sa.Column("wrong", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("subject", "hour", name="pk_join_tries"),
        sa.CheckConstraint("wrong >= 0", name=op.f("ck_join_tries_wrong")),
    )
    op.create_index("ix_join_tries_hour", "join_tries", ["hour"])


def _tell_of_households() -> None:
    """The households that were there before are told of as every later one is: version 1, ids and flags alone."""
    told = sa.text(
        "WITH published AS ("
        " INSERT INTO message (id, type, aggregate, occurred_at, data)"
        " SELECT gen_random_uuid(), 'identity.household_changed.v1', 'household/' || household.id,"
        " household.changed_at,"
        " jsonb_build_object('occurred_at', household.changed_at, 'household_id', household.id,"
        " 'version', household.version, 'members', (SELECT coalesce(jsonb_agg(jsonb_build_object("
        " 'person_id', person.id, 'child', person.child, 'consented', false) ORDER BY person.id), '[]')"
        " FROM membership JOIN person ON person.id = membership.person_id AND person.state = 'active'"
        " WHERE membership.household_id = household.id), 'dissolved_into', NULL)"
        " FROM household ORDER BY household.id RETURNING sequence, aggregate)"
        " INSERT INTO delivery (message_sequence, subscriber, aggregate, state, attempts, next_attempt_at)"
        " SELECT sequence, subscriber, aggregate, 'pending', 0, :at"
        " FROM published CROSS JOIN unnest(ARRAY['events', 'points']) AS subscriber"
    )
    op.get_bind().execute(told, {"at": datetime.now(UTC)})
