"""Who left which household, and when: nobody verifies the hours of those whom they have just parted from."""

import sqlalchemy as sa
from alembic import op

revision = "events_0002"
down_revision = "events_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "former_member",
        sa.Column("household_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name="fk_former_member_household_id"),
        sa.PrimaryKeyConstraint("household_id", "person_id", name="pk_former_member"),
    )
    op.create_index("ix_former_member_person_id", "former_member", ["person_id"])
