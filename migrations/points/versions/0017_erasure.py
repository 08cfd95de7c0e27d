"""What is erased when somebody deletes their account: the name of a clerk, and whom a coupon was for."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("merchant_clerk", "name_sealed", existing_type=sa.LargeBinary, nullable=True)
    op.create_check_constraint(
        op.f("ck_merchant_clerk_name"), "merchant_clerk", "name_sealed IS NOT NULL OR revoked_at IS NOT NULL"
    )
    op.create_index(
        "ix_coupon_for_member_id", "coupon", ["for_member_id"], postgresql_where=sa.text("for_member_id IS NOT NULL")
    )
