"""Double entry, append-only: a transfer says for both its accounts what their balance and version are after it.

The service's role may neither update nor delete transfers, allocations, mergers and what holds allocated (see the
migrations). Everything here changes under its ledger's lock alone.

What every posting writes has no foreign keys, which would take half of the server's time: these rows come of accounts
and lots that were loaded under the lock, none of which is ever deleted, and `beiyuan points check` looks at them all.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from services.points.ledger.terms import AccountKey, HoldState, Purpose, TransferCode
from services.points.tables import Base, words
from services.points.terms import LedgerName, OwnerKind


class Ledger(Base):
    """One row a ledger: whoever posts holds its lock, so numbers have no gap and follow the commits."""

    __tablename__ = "ledger"

    name: Mapped[LedgerName] = mapped_column(primary_key=True)
    last_sequence: Mapped[int] = mapped_column(default=0)
    last_posted_at: Mapped[datetime]
    """When the last transfer was posted: the next one is not posted before it, whatever a machine's clock says."""


class Account(Base):
    """Points of one owner for one purpose. `balance` is what is posted: credits less debits."""

    __tablename__ = "account"
    __table_args__ = (
        UniqueConstraint("ledger", "owner_kind", "owner_id", "purpose"),
        CheckConstraint("held >= 0", name="held"),
        CheckConstraint("debt >= 0", name="debt"),
        Index(None, "merged_into_id", postgresql_where=text("merged_into_id IS NOT NULL")),
        {"postgresql_with": {"fillfactor": 70}},  # room on the page for the balance that changes
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ledger: Mapped[LedgerName] = mapped_column(ForeignKey("ledger.name"))
    owner_kind: Mapped[OwnerKind]
    owner_id: Mapped[UUID]
    purpose: Mapped[Purpose] = mapped_column(words(Purpose))
    floor: Mapped[int | None]
    """What spending must leave available; null for none. A reversal may pass below it."""
    balance: Mapped[int]
    held: Mapped[int]
    """The sum of its open outgoing holds."""
    debt: Mapped[int]
    """What reversals took that was not there any more: balance = what its lots have left - debt."""
    version: Mapped[int]
    """How many entries the account has: the number of its last one."""
    opened_at: Mapped[datetime]
    merged_into_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"))
    """The account that has taken this one's place: what is posted to this one goes there. It is never one that
    was merged itself, however many mergers there were.
    """

    @property
    def available(self) -> int:
        """What can be spent, but for points that have expired and were not swept yet (`queries.overdue`)."""
        return self.balance - self.held

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
            held=0,
            debt=0,
            version=0,
            opened_at=at,
            merged_into_id=None,
        )


class Transfer(Base):
    """`amount` points from the debit account to the credit account, once and for ever under its reference.

    For both accounts it says the version and the balance after it.
    """

    __tablename__ = "transfer"
    __table_args__ = (
        UniqueConstraint("ledger", "sequence"),
        UniqueConstraint("reference"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("debit_account_id <> credit_account_id", name="two_accounts"),
        CheckConstraint("(rule_code IS NULL) = (rule_version IS NULL)", name="rule"),
        CheckConstraint("(code = 'reversal') = (reverses_id IS NOT NULL)", name="reverses"),
        # In the order of numbers an account's versions are dense, so this finds both an entry and a past balance.
        Index("ix_transfer_debit", "debit_account_id", "sequence"),
        Index("ix_transfer_credit", "credit_account_id", "sequence"),
        Index("ix_transfer_posted_at", "ledger", "posted_at", "sequence"),
        Index("ix_transfer_code", "ledger", "code", "sequence"),
        # What expired of an account after a moment was still on it then.
        Index("ix_transfer_expiry", "debit_account_id", "sequence", postgresql_where=text("code = 'expiry'")),
        Index(None, "reverses_id", postgresql_where=text("reverses_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ledger: Mapped[LedgerName]
    sequence: Mapped[int]
    """The transfer's number in its ledger: dense, from 1, in the order of commits."""
    debit_account_id: Mapped[UUID]
    debit_version: Mapped[int]
    debit_balance: Mapped[int]
    credit_account_id: Mapped[UUID]
    credit_version: Mapped[int]
    credit_balance: Mapped[int]
    amount: Mapped[int]
    code: Mapped[TransferCode] = mapped_column(words(TransferCode))
    reference: Mapped[str]
    occurred_at: Mapped[datetime]
    posted_at: Mapped[datetime]
    """Never before that of a transfer with a smaller number."""
    rule_code: Mapped[str | None]
    rule_version: Mapped[int | None]
    reverses_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfer.id"))
    hold_id: Mapped[UUID | None] = mapped_column(ForeignKey("hold.id"))
    """The hold that this posted."""
    text_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """SHA-256 of a salt and the words that say why (`TransferText`): the words can be erased, this stays."""


class Entry(Base):
    """One side of a transfer: `amount` is signed, `balance_after` is the account's balance at `version`. A view."""

    __tablename__ = "entry"
    __table_args__ = ({"info": {"is_view": True}},)

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    transfer_id: Mapped[UUID]
    ledger: Mapped[LedgerName]
    sequence: Mapped[int]
    posted_at: Mapped[datetime]
    amount: Mapped[int]
    balance_after: Mapped[int]


class TransferText(Base):
    """Why a transfer was posted, in words, where somebody said so. It may be erased; the transfer keeps its hash."""

    __tablename__ = "transfer_text"

    transfer_id: Mapped[UUID] = mapped_column(ForeignKey("transfer.id"), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    words: Mapped[str]


class Lot(Base):
    """What a credit to a wallet left to spend, with its expiry. Its id is that of the transfer that made it.

    `amount` is what it began with (what of the credit paid no debt). `free` can be spent, `held` is allocated to open
    holds; what is gone is in allocations: amount + sum of its allocations = free + held. It moves with its wallet when
    that is merged into another.
    """

    __tablename__ = "lot"
    __table_args__ = (
        CheckConstraint("free >= 0 AND held >= 0 AND free + held <= amount AND amount > 0", name="amounts"),
        Index("ix_lot_spending", "account_id", "expires_at", "sequence", postgresql_where=text("live")),
        Index("ix_lot_expiry", "expires_at", "id", postgresql_where=text("live")),
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    """That of its transfer: among lots that expire together the older is spent first."""
    account_id: Mapped[UUID]
    expires_at: Mapped[datetime]
    """The first moment at which it cannot be spent any more."""
    amount: Mapped[int]
    free: Mapped[int]
    held: Mapped[int]
    live: Mapped[bool] = mapped_column(Computed("free + held > 0", persisted=True))
    """Whether anything is left of it. Indexes are on this: so none changes with what is spent, until all is."""


class Allocation(Base):
    """What one cause took from a lot (negative) or gave back to it (positive), for good. Append-only.

    The cause is a transfer (spending, expiry, reversal), or, where a debt was paid out of what came back, the hold
    or the merger that gave it back.
    """

    __tablename__ = "allocation"
    __table_args__ = (CheckConstraint("amount <> 0", name="amount"), Index(None, "lot_id"))

    cause_id: Mapped[UUID] = mapped_column(primary_key=True)
    lot_id: Mapped[UUID] = mapped_column(primary_key=True)
    amount: Mapped[int]


class Hold(Base):
    """Points kept for a purpose: posted once, in whole or part, or voided, or lapsed at `lapses_at`."""

    __tablename__ = "hold"
    __table_args__ = (
        UniqueConstraint("reference"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(state = 'posted') = (posted_amount IS NOT NULL)", name="posted"),
        CheckConstraint("posted_amount BETWEEN 1 AND amount", name="posted_amount"),
        Index("ix_hold_lapse", "lapses_at", "id", postgresql_where=text("state = 'open'")),
        Index("ix_hold_open", "debit_account_id", postgresql_where=text("state = 'open'")),
        Index("ix_hold_closed", "debit_account_id", "closed_at", postgresql_where=text("closed_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ledger: Mapped[LedgerName] = mapped_column(ForeignKey("ledger.name"))
    debit_account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    """Whose points are held: the account that took the wallet's place, where that was merged."""
    credit_account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[int]
    code: Mapped[TransferCode] = mapped_column(words(TransferCode))
    reference: Mapped[str]
    occurred_at: Mapped[datetime]
    held_at: Mapped[datetime]
    lapses_at: Mapped[datetime]
    state: Mapped[HoldState] = mapped_column(words(HoldState))
    closed_at: Mapped[datetime | None]
    posted_amount: Mapped[int | None]


class HoldLot(Base):
    """How much of a lot a hold allocated when it was made. Append-only."""

    __tablename__ = "hold_lot"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"), Index(None, "lot_id"))

    hold_id: Mapped[UUID] = mapped_column(ForeignKey("hold.id"), primary_key=True)
    lot_id: Mapped[UUID] = mapped_column(ForeignKey("lot.id"), primary_key=True)
    amount: Mapped[int]


class Merger(Base):
    """An account took another's place, after transfer `sequence` of their ledger. Append-only."""

    __tablename__ = "merger"
    __table_args__ = (
        UniqueConstraint("old_account_id"),
        UniqueConstraint("reference"),
        Index(None, "ledger", "sequence"),
        Index(None, "new_account_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    ledger: Mapped[LedgerName] = mapped_column(ForeignKey("ledger.name"))
    sequence: Mapped[int]
    """The ledger's last number when the merger was complete (that of its own transfer, where it has one)."""
    old_account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    new_account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    """The one that stood when they merged."""
    transfer_id: Mapped[UUID | None] = mapped_column(ForeignKey("transfer.id"))
    reference: Mapped[str]
    occurred_at: Mapped[datetime]
    merged_at: Mapped[datetime]


class CapUse(Base):
    """How many points a rule has granted to one holder in one period: what is gone of its cap."""

    __tablename__ = "cap_use"
    __table_args__ = (CheckConstraint("used >= 0", name="used"),)

    rule_code: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    """`2026-11-23`, `2026-11`, `2026`, or `campaign/<id>`; days of Beijing."""
    used: Mapped[int]


class ExpiryNotice(Base):
    """That a wallet's owner was told of points that expire at a moment, and of how many: once."""

    __tablename__ = "expiry_notice"
    __table_args__ = (CheckConstraint("points > 0", name="points"),)

    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(primary_key=True)
    points: Mapped[int]
    told_at: Mapped[datetime]
