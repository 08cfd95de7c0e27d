"""Accounts and statements: what is asked for, and how it is shown."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, Self
from uuid import UUID, uuid5

from pydantic import AfterValidator, AwareDatetime, Field

from chassis.core.beijing import day_of
from chassis.core.schema import In, Out, Text
from services.points.awards.terms import SubjectKind
from services.points.ledger.terms import Purpose, TransferCode
from services.points.statements.terms import Line, Standing, Subject
from services.points.terms import LedgerName, OwnerKind

_FIRST, _END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def _of_our_times(moment: datetime) -> datetime:
    if not _FIRST <= moment < _END:
        raise ValueError("lies outside of 2000 to 2099")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_of_our_times)]
"""A moment with its time zone, in years that databases and spreadsheets know."""

Day = Annotated[date, Field(ge=_FIRST.date(), lt=_END.date())]
"""A day in Beijing."""


class AccountFilters(In):
    """Whose accounts, and of which ledger (both, if it is not said)."""

    owner: Literal["me"]
    ledger: LedgerName | None = None


class AsOf(In):
    """As of which moment; now, if it is not said."""

    as_of: Moment | None = None


class EntryFilters(In):
    """Which entries: posted from `from` on and before `to`, and not after `as_of`. `fact` is the id of the fact that
    points were awarded for.
    """

    code: TransferCode | None = None
    from_: Annotated[Moment | None, Field(alias="from")] = None
    to: Moment | None = None
    as_of: Moment | None = None
    reference: Annotated[str, Text(300)] | None = None
    fact: UUID | None = None
    cursor: Annotated[str, Field(max_length=1000)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class StatementPeriod(In):
    """The first and the last day, in Beijing; the present year until today, if they are not said."""

    from_: Annotated[Day | None, Field(alias="from")] = None
    to: Day | None = None


class AccountOut(Out):
    """An account: what is posted on it (`balance`), what open holds keep of it (`held`), what it owes (`debt`, for
    points that were taken back and had been spent), what can be spent (`available`: what has expired is not among it),
    and how many entries it has (`version`). `merged_into` is the account that has taken its place.
    """

    id: UUID
    ledger: LedgerName
    owner_kind: OwnerKind
    owner_id: UUID
    purpose: Purpose
    balance: int
    held: int
    debt: int
    available: int
    version: int
    merged_into: UUID | None

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """The account as it is shown."""
        account = standing.account
        return cls(
            id=account.id,
            ledger=account.ledger,
            owner_kind=account.owner_kind,
            owner_id=account.owner_id,
            purpose=account.purpose,
            balance=standing.balance,
            held=standing.held,
            debt=standing.debt,
            available=standing.available,
            version=standing.version,
            merged_into=account.merged_into_id,
        )


class ExpiringOut(Out):
    """Points that expire together. `last_day` is the last one on which they can be spent, in Beijing.

    Those `held` do not expire while they are; what is given back of them later expires at once.
    """

    expires_at: datetime
    last_day: date
    points: int
    held: int

    @classmethod
    def of(cls, expires_at: datetime, points: int, held: int) -> Self:
        """The points as they are shown."""
        last_day = day_of(expires_at - timedelta(microseconds=1))
        return cls(expires_at=expires_at, last_day=last_day, points=points, held=held)


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
    `order` or an `activity` by a `fact`, paid for a `coupon`. `withheld` is what a cap kept back of the award.
    `reverses` is the transfer that this one takes back, `lot` the one whose points expired (or came back from that);
    `order`, `activity` and `coupon` are then what that was for. `merged` is the account that was joined to this one, or
    that this one was joined to. `reason` was given by whoever posted by hand.
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
    reference: str
    rule: RuleRef | None
    order: OrderRef | None
    activity: ActivityRef | None
    fact: UUID | None
    coupon: CouponRef | None
    withheld: int
    reverses: UUID | None
    lot: UUID | None
    merged: UUID | None
    reason: str | None

    @classmethod
    def of(cls, line: Line) -> Self:
        """The line as it is shown. An entry's id follows from its account and version."""
        transfer = line.transfer
        rule = None
        if transfer.rule_code is not None and transfer.rule_version is not None:
            rule = RuleRef(code=transfer.rule_code, version=transfer.rule_version)
        return cls(
            id=uuid5(line.account_id, str(line.version)),
            transfer_id=transfer.id,
            sequence=transfer.sequence,
            amount=line.amount,
            balance_after=line.balance,
            version=line.version,
            occurred_at=transfer.occurred_at,
            posted_at=transfer.posted_at,
            code=transfer.code,
            reference=transfer.reference,
            rule=rule,
            order=_order(line.subject),
            activity=_activity(line.subject),
            fact=line.fact_id,
            coupon=CouponRef(id=line.coupon.id, reward=line.coupon.reward) if line.coupon else None,
            withheld=line.withheld,
            reverses=transfer.reverses_id,
            lot=line.lot,
            merged=line.merged,
            reason=line.reason,
        )


def _order(subject: Subject | None) -> OrderRef | None:
    if subject is None or subject.kind is not SubjectKind.ORDER:
        return None
    return OrderRef(id=subject.id, number=subject.label)


def _activity(subject: Subject | None) -> ActivityRef | None:
    if subject is None or subject.kind is not SubjectKind.ATTENDANCE or subject.label is None:
        return None
    return ActivityRef(id=subject.id, title=subject.label)
