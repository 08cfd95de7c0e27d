"""Accounts and statements as they are shown."""

from datetime import datetime
from typing import Self
from uuid import UUID, uuid5

from chassis.core.schema import Out
from services.points.ledger.tables import Account
from services.points.ledger.terms import Purpose, TransferCode
from services.points.statements.queries import Line
from services.points.terms import LedgerName, OwnerKind


class AccountOut(Out):
    """An account: what is posted on it (`balance`), what can be spent (`available`), and how many entries
    it has (`version`).
    """

    id: UUID
    ledger: LedgerName
    owner_kind: OwnerKind
    purpose: Purpose
    balance: int
    available: int
    version: int

    @classmethod
    def of(cls, account: Account) -> Self:
        """The account as it is shown."""
        return cls(
            id=account.id,
            ledger=account.ledger,
            owner_kind=account.owner_kind,
            purpose=account.purpose,
            balance=account.balance,
            available=account.available,
            version=account.version,
        )


class RuleRef(Out):
    """The version of a rule by which points were awarded."""

    code: str
    version: int


class OrderRef(Out):
    """The order that points were awarded for. Its number is null until a fact has told it."""

    id: UUID
    number: str | None


class EntryOut(Out):
    """One movement on an account.

    `amount` is signed. `sequence` is the transfer's number in its ledger. `withheld` is what a cap kept back
    of the award. `reverses` is the transfer that this one takes back; `rule` and `order` are then those of
    that transfer.
    """

    id: UUID
    transfer_id: UUID
    sequence: int
    amount: int
    balance_after: int
    version: int
    occurred_at: datetime
    posted_at: datetime
    code: TransferCode
    rule: RuleRef | None
    order: OrderRef | None
    withheld: int
    reverses: UUID | None

    @classmethod
    def of(cls, line: Line) -> Self:
        """The line as it is shown. An entry's id follows from its account and version."""
        entry, transfer = line.entry, line.transfer
        rule = None
        if transfer.rule_code is not None and transfer.rule_version is not None:
            rule = RuleRef(code=transfer.rule_code, version=transfer.rule_version)
        return cls(
            id=uuid5(entry.account_id, str(entry.version)),
            transfer_id=transfer.id,
            sequence=transfer.sequence,
            amount=entry.amount,
            balance_after=entry.balance_after,
            version=entry.version,
            occurred_at=transfer.occurred_at,
            posted_at=transfer.posted_at,
            code=transfer.code,
            rule=rule,
            order=OrderRef(id=line.order_id, number=line.order_number) if line.order_id else None,
            withheld=line.withheld,
            reverses=transfer.reverses_id,
        )
