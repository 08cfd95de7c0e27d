"""Double entry, append-only: a transfer has two entries, and each entry says its account's balance after it.

The service's role may neither update nor delete transfers and entries (see the migration).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.points.ledger.terms import AccountKey, Purpose, TransferCode
from services.points.tables import Base, words
from services.points.terms import LedgerName, OwnerKind


class Ledger(Base):
    """One row a ledger: whoever posts holds its lock, so numbers have no gap and follow the commits."""

    __tablename__ = "ledger"

    name: Mapped[LedgerName] = mapped_column(primary_key=True)
    last_sequence: Mapped[int] = mapped_column(default=0)


class Account(Base):
    """Points of one owner for one purpose. `balance` is what is posted: credits less debits."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("ledger", "owner_kind", "owner_id", "purpose"),
        Index(None, "merged_into_id", postgresql_where=text("merged_into_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ledger: Mapped[LedgerName] = mapped_column(ForeignKey("ledger.name"))
    owner_kind: Mapped[OwnerKind]
    owner_id: Mapped[UUID]
    purpose: Mapped[Purpose] = mapped_column(words(Purpose))
    floor: Mapped[int | None]
    """What spending must leave available; null for none. A reversal may pass below it."""
    balance: Mapped[int]
    version: Mapped[int]
    """How many entries the account has: the number of its last one."""
    opened_at: Mapped[datetime]
    merged_into_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    """The account that has taken this one's place: what is posted to this one goes there. It is never one that
    was merged itself, however many mergers there were.
    """

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.balance

    @classmethod
    def open(cls, key: AccountKey, at: datetime) -> "Account":
        """The account of this key with nothing on it."""
        return cls(
            id=key.id,
            ledger=key.ledger,
            owner_kind=key.owner_kind,
            owner_id=key.owner_id,
            purpose=key.purpose,
            floor=key.floor,
            balance=0,
            version=0,
            opened_at=at,
            merged_into_id=None,
        )

    def apply(self, transfer: "Transfer", amount: int) -> "Entry":
        """Move the balance by `amount` (signed) and return the entry that says so."""
        self.balance += amount
        self.version += 1
        return Entry(
            account_id=self.id,
            version=self.version,
            transfer_id=transfer.id,
            amount=amount,
            balance_after=self.balance,
        )


class Transfer(Base):
    """`amount` points from the debit account to the credit account, once and for ever under its reference."""

    __tablename__ = "transfer"
    __table_args__ = (
        UniqueConstraint("ledger", "sequence"),
        UniqueConstraint("reference"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("debit_account_id <> credit_account_id", name="two_accounts"),
        CheckConstraint("(rule_code IS NULL) = (rule_version IS NULL)", name="rule"),
        CheckConstraint("(code = 'reversal') = (reverses_id IS NOT NULL)", name="reverses"),
        Index(None, "reverses_id", postgresql_where=text("reverses_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ledger: Mapped[LedgerName] = mapped_column(ForeignKey("ledger.name"))
    sequence: Mapped[int]
    """The transfer's number in its ledger: dense, from 1, in the order of commits."""
    debit_account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    credit_account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[int]
    code: Mapped[TransferCode] = mapped_column(words(TransferCode))
    reference: Mapped[str]
    occurred_at: Mapped[datetime]
    posted_at: Mapped[datetime]
    rule_code: Mapped[str | None]
    rule_version: Mapped[int | None]
    reverses_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfer.id"))


class Entry(Base):
    """One side of a transfer: `amount` is signed, `balance_after` is the account's balance at `version`."""

    __tablename__ = "entry"
    __table_args__ = (
        UniqueConstraint("transfer_id", "account_id"),
        CheckConstraint("amount <> 0", name="amount"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    transfer_id: Mapped[UUID] = mapped_column(ForeignKey("transfer.id"))
    amount: Mapped[int]
    balance_after: Mapped[int]
