"""Answers that are given again have their headers again."""

from chassis.core.migrations import keep_headers_of_answers

revision = "orders_0002"
down_revision = "orders_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    keep_headers_of_answers()
