"""Accounts and statements as they are shown."""

from datetime import datetime
from typing import Self
from uuid import UUID, uuid5

from chassis.core.schema import Out
from services.points.awards.terms import SubjectKind
from services.points.ledger.tables import Account
from services.points.ledger.terms import Purpose, TransferCode
from services.points.statements.queries import Line, Subject
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


class ActivityRef(Out):
    """The activity that points were awarded for."""

    id: UUID
    title: str


class CouponRef(Out):
    """The coupon that points were paid for, and the title of its reward."""

    id: str
    reward: str


class EntryOut(Out):
    """One movement on an account.

    `amount` is signed. `sequence` is the transfer's number in its ledger. Points were awarded for an
    `order` or an `activity`, paid for a `coupon`. `withheld` is what a cap kept back of the award. `reverses` is
    the transfer that this one takes back; `rule`, `order`, `activity` and `coupon` are then those of that transfer.
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
    activity: ActivityRef | None
    coupon: CouponRef | None
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
            order=_order(line.subject),
            activity=_activity(line.subject),
            coupon=CouponRef(id=line.coupon.id, reward=line.coupon.reward) if line.coupon else None,
            withheld=line.withheld,
            reverses=transfer.reverses_id,
        )


def _order(subject: Subject | None) -> OrderRef | None:
    if subject is None or subject.kind is not SubjectKind.ORDER:
        return None
    return OrderRef(id=subject.id, number=subject.label)


def _activity(subject: Subject | None) -> ActivityRef | None:
    if subject is None or subject.kind is not SubjectKind.ATTENDANCE or subject.label is None:
        return None
    return ActivityRef(id=subject.id, title=subject.label)
