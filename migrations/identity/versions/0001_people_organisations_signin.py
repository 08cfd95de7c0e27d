"""People, households, organisations, posts, and signing in."""

import sqlalchemy as sa
from alembic import op

from chassis.core.migrations import create_chassis_tables, create_job_tables

revision = "identity_0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_chassis_tables()
    create_job_tables()
    _create_people()
    _create_organisations()
    _create_signin()


def _create_people() -> None:
    op.create_table(
        "person",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("child", sa.Boolean, nullable=False),
        sa.Column("name_sealed", sa.LargeBinary, nullable=False),
        sa.Column("phone_sealed", sa.LargeBinary),
        sa.Column("phone_fingerprint", sa.LargeBinary),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_person"),
        sa.UniqueConstraint("phone_fingerprint", name="uq_person_phone_fingerprint"),
        sa.CheckConstraint("state IN ('active', 'deleted')", name=op.f("ck_person_state")),
        sa.CheckConstraint("(phone_sealed IS NULL) = (phone_fingerprint IS NULL)", name=op.f("ck_person_phone_whole")),
        sa.CheckConstraint("state = 'active' OR phone_sealed IS NULL", name=op.f("ck_person_deleted_without_phone")),
        sa.CheckConstraint("NOT child OR phone_sealed IS NULL", name=op.f("ck_person_child_without_phone")),
    )
    op.create_table(
        "household",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_household"),
    )
    op.create_table(
        "membership",
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("joined_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("person_id", name="pk_membership"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_membership_person_id"),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name="fk_membership_household_id"),
    )
    op.create_index("ix_membership_household_id", "membership", ["household_id"])
    op.create_table(
        "privacy_acceptance",
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.String(40), nullable=False),
        sa.Column("accepted_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("person_id", "version", name="pk_privacy_acceptance"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_privacy_acceptance_person_id"),
    )


def _create_organisations() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("level", sa.String(20), nullable=False),
        sa.Column("parent_id", sa.Uuid),
        sa.Column("remit", sa.ARRAY(sa.String(40)), nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organisation"),
        sa.ForeignKeyConstraint(["parent_id"], ["organisation.id"], name="fk_organisation_parent_id"),
        sa.CheckConstraint(
            "level IN ('property', 'community', 'subdistrict', 'district')", name=op.f("ck_organisation_level")
        ),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_organisation_parent_is_other")),
    )
    op.create_index("ix_organisation_parent_id", "organisation", ["parent_id"])
    op.create_table(
        "post",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("organisation_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("given_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_post"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_post_person_id"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name="fk_post_organisation_id"),
        sa.UniqueConstraint("person_id", "organisation_id", "role", name="uq_post_person_id_organisation_id_role"),
    )
    op.create_index("ix_post_organisation_id", "post", ["organisation_id"])


def _create_signin() -> None:
    op.create_table(
        "sign_in_code",
        sa.Column("phone_fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("code_hash", sa.LargeBinary),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("wrong_tries", sa.Integer, nullable=False),
        sa.Column("sent_at", sa.ARRAY(INSTANT), nullable=False),
        sa.PrimaryKeyConstraint("phone_fingerprint", name="pk_sign_in_code"),
        sa.CheckConstraint("wrong_tries >= 0", name=op.f("ck_sign_in_code_wrong_tries")),
    )
    op.create_index("ix_sign_in_code_expires_at", "sign_in_code", ["expires_at"])
    op.create_table(
        "address_count",
        sa.Column("address_fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("hour", INSTANT, nullable=False),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("address_fingerprint", "purpose", "hour", name="pk_address_count"),
        sa.CheckConstraint("uses >= 0", name=op.f("ck_address_count_uses")),
    )
    op.create_index("ix_address_count_hour", "address_count", ["hour"])
    op.create_table(
        "refresh_family",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("rotated_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.Column("ended_because", sa.String(20)),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_family"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_refresh_family_person_id"),
        sa.CheckConstraint("generation >= 0", name=op.f("ck_refresh_family_generation")),
    )
    op.create_index("ix_refresh_family_person_id", "refresh_family", ["person_id"])
    op.create_index("ix_refresh_family_expires_at", "refresh_family", ["expires_at"])
