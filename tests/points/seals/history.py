"""Ledgers with a past: transfers of every kind, written as rows, since only what is stored is sealed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from chassis.core.ids import new_id
from services.points.ledger.terms import AccountKey, Purpose, household_wallet, issuance
from services.points.terms import LedgerName, OwnerKind
from tests.points.facts import NOON
from tests.town import TestDatabase

COLUMNS = (
    *("id", "ledger", "sequence", "debit_account_id", "debit_version", "debit_balance"),
    *("credit_account_id", "credit_version", "credit_balance", "amount", "code", "reference", "occurred_at"),
    *("posted_at", "rule_code", "rule_version", "reverses_id", "hold_id", "text_hash"),
)


@contextmanager
def owner_of(database: TestDatabase) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the database's owner, whom no rights and no foreign keys hold back."""
    with psycopg.connect(
        database.admin_url, autocommit=True, options="-c search_path=points -c session_replication_role=replica"
    ) as connection:
        yield connection


@dataclass
class History:
    """The past of one ledger, in order."""

    database: TestDatabase
    ledger: LedgerName = LedgerName.CIVIC
    households: list[UUID] = field(default_factory=lambda: [new_id() for _ in range(3)])
    ids: list[UUID] = field(default_factory=list)
    """The transfers' ids: that of number n at n - 1."""
    _accounts: dict[UUID, tuple[AccountKey, int, int]] = field(default_factory=dict)
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _holds: list[tuple[UUID, AccountKey, AccountKey, int]] = field(default_factory=list)

    def wallet(self, which: int) -> AccountKey:
        if self.ledger is LedgerName.STAFF:
            return AccountKey(LedgerName.STAFF, OwnerKind.PERSON, self.households[which])
        return household_wallet(self.households[which])

    def move(self, debit: AccountKey, credit: AccountKey, amount: int, code: str = "award", **more: Any) -> UUID:
        """One more transfer."""
        sides: dict[str, Any] = {}
        for side, key, signed in (("debit", debit, -amount), ("credit", credit, amount)):
            _, version, balance = self._accounts.get(key.id, (key, 0, 0))
            self._accounts[key.id] = key, version + 1, balance + signed
            sides |= {f"{side}_account_id": key.id, f"{side}_version": version + 1, f"{side}_balance": balance + signed}
        self.ids.append(new_id())
        moment = NOON + timedelta(minutes=len(self.ids), microseconds=len(self.ids) % 3)
        row = (
            dict.fromkeys(COLUMNS)
            | sides
            | {
                "id": self.ids[-1],
                "ledger": self.ledger.value,
                "sequence": len(self.ids),
                "amount": amount,
                "code": code,
                "reference": f"{code}/{self.ids[-1]}/积分",
                "occurred_at": moment - timedelta(days=1),
                "posted_at": moment,
            }
        )
        self._rows.append(row | more)
        return self.ids[-1]

    def award(self, which: int = 0, amount: int = 12) -> UUID:
        rule: dict[str, Any] = {"rule_code": "volunteer.hour", "rule_version": 1}
        return self.move(issuance(self.ledger), self.wallet(which), amount, **rule)

    def grow(self, count: int) -> None:
        """So many awards."""
        for index in range(count):
            self.award(index % len(self.households), 1 + index % 7)

    def of_every_kind(self) -> None:
        """Eight transfers in which every column has something in it somewhere."""
        first, third, joining = self.wallet(0), self.wallet(2), household_wallet(new_id())
        liability = AccountKey(self.ledger, OwnerKind.SYSTEM, UUID(int=0), Purpose.COUPON_LIABILITY)
        award = self.award(0, 40)
        self.move(issuance(self.ledger), joining, 5, "adjustment")
        self.move(first, liability, 9, "redemption")
        hold = new_id()
        self._holds.append((hold, first, liability, 6))
        self.move(first, liability, 6, "activity", hold_id=hold)
        self.move(issuance(self.ledger), third, 3, "adjustment", text_hash=bytes(range(32)))
        rule: dict[str, Any] = {"rule_code": "volunteer.hour", "rule_version": 1}
        self.move(first, issuance(self.ledger), 12, "reversal", reverses_id=award, **rule)
        self.move(joining, first, 5, "merger")
        self.award(0, 2)

    def write(self) -> None:
        """Write what is not written yet, as the ledger would have."""
        with owner_of(self.database) as owner, owner.transaction():
            held = {account for _, debit, credit, _ in self._holds for account in (debit, credit)}
            for key, version, balance in [*self._accounts.values(), *((key, 0, 0) for key in held)]:
                owner.execute(
                    "INSERT INTO account (id, ledger, owner_kind, owner_id, purpose, floor, balance, held, debt,"
                    " version, opened_at) VALUES (%s, %s, %s, %s, %s, %s, %s, 0, 0, %s, %s)"
                    " ON CONFLICT (id) DO UPDATE SET balance = excluded.balance,"
                    " version = excluded.version WHERE excluded.version > account.version",
                    [
                        *(key.id, key.ledger.value, key.owner_kind.value, key.owner_id, key.purpose.value),
                        *(key.floor, balance, version, NOON),
                    ],
                )
            for id_, debit, credit, amount in self._holds:
                owner.execute(
                    "INSERT INTO hold (id, ledger, debit_account_id, credit_account_id, amount, code, reference,"
                    " occurred_at, held_at, lapses_at, state, closed_at, posted_amount) VALUES"
                    " (%(id)s, %(ledger)s, %(debit)s, %(credit)s, %(amount)s, 'activity', %(id)s::text, %(at)s, %(at)s,"
                    " %(at)s, 'posted', %(at)s, %(amount)s)",
                    {"id": id_, "ledger": self.ledger.value, "debit": debit.id, "credit": credit.id}
                    | {"amount": amount, "at": NOON},
                )
            with owner.cursor().copy(f"COPY transfer ({', '.join(COLUMNS)}) FROM STDIN") as copy:
                for row in self._rows:
                    copy.write_row([row[column] for column in COLUMNS])
            owner.execute(
                "UPDATE ledger SET last_sequence = %s, last_posted_at = %s WHERE name = %s",
                [len(self.ids), self._rows[-1]["posted_at"], self.ledger.value],
            )
        self._rows, self._holds = [], []


def alter(owner: psycopg.Connection[Any], table: str, where: str, **values: Any) -> None:
    """Change one row, as only the database's owner can."""
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in values.items()
    )
    statement = sql.SQL("UPDATE {} SET {} WHERE {}").format(sql.Identifier(table), assignments, sql.SQL(where))
    assert owner.execute(statement).rowcount == 1
