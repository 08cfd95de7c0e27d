"""Answers that are given again have their headers again."""

from chassis.core.migrations import keep_headers_of_answers

revision = "events_0003"
down_revision = "events_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    keep_headers_of_answers()
