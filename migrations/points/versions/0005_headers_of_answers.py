"""Answers that are given again have their headers again."""

from chassis.core.migrations import keep_headers_of_answers

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    keep_headers_of_answers()
