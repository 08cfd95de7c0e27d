"""What is kept of the trees. The service's role may neither update nor delete hashes and heads (see the migration)."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from services.points.tables import Base
from services.points.terms import LedgerName


class SealTree(Base):
    """The tree of a ledger, one row each: whoever lets it grow, or signs a head of it, holds its lock."""

    __tablename__ = "seal_tree"
    __table_args__ = (CheckConstraint("size >= 0", name="size"),)

    ledger: Mapped[LedgerName] = mapped_column(ForeignKey("ledger.name"), primary_key=True)
    size: Mapped[int] = mapped_column()
    """How many transfers are in it: those with the numbers 1 to `size`."""


class Seal(Base):
    """A transfer as it was sealed. Append-only.

    No foreign key leads to the transfer: if that were altered or taken away, this is what shows it.
    """

    __tablename__ = "seal"

    ledger: Mapped[LedgerName] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The transfer's number in its ledger, from 1; as a leaf it has the index sequence - 1."""
    hashes: Mapped[bytes] = mapped_column(LargeBinary)
    """32 bytes each: the leaf's hash, then those of all subtrees that it completes, the smallest first."""


class SealHead(Base):
    """A signed head: that the first `size` transfers of the ledger hash to `root`. Append-only."""

    __tablename__ = "seal_head"

    ledger: Mapped[LedgerName] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    checkpoint: Mapped[str]
    """The signed note (C2SP tlog-checkpoint), as it was published."""
    signed_at: Mapped[datetime]
