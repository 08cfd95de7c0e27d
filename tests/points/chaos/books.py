"""What is in the database when the storm is over."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.town import TestDatabase


class Books:
    """The rows that a verdict looks at."""

    def __init__(self, database: TestDatabase) -> None:
        with psycopg.connect(database.admin_url, options="-c search_path=points -c timezone=UTC") as owner:
            self.transfers = _rows(owner, "SELECT * FROM transfer ORDER BY ledger, sequence")
            self.holds = _rows(owner, "SELECT * FROM hold")
            self.accounts = {row["id"]: row for row in _rows(owner, "SELECT * FROM account")}
            self.coupons = {row["id"]: row for row in _rows(owner, "SELECT * FROM coupon")}
            self.proposals = {row["id"]: row for row in _rows(owner, "SELECT * FROM proposal")}
            self.facts = _rows(owner, "SELECT * FROM fact")
            self.rewards = _rows(owner, "SELECT * FROM reward")
            # Transfers that belong with something else, and to what.
            self.of_coupons = {row["transfer_id"] for row in _rows(owner, "SELECT * FROM coupon_event")}
            self.of_awards = {row["transfer_id"] for row in _rows(owner, "SELECT * FROM award")}
            self.of_mergers = {row["transfer_id"] for row in _rows(owner, "SELECT * FROM merger")}


def _rows(owner: psycopg.Connection, query: str) -> list[dict[str, Any]]:
    with owner.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()
