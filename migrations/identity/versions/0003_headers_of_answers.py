"""Answers that are given again have their headers again."""

from chassis.core.migrations import keep_headers_of_answers

revision = "identity_0003"
down_revision = "identity_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    keep_headers_of_answers()
