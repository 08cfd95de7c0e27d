"""What is decided of postings by hand: what moves together, who else must agree, and which field a refusal is about."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from chassis.core.actor import Actor
from chassis.core.errors import DomainError, FieldError
from chassis.core.schema import In
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import AccountRef, Command, PostHold, Reserve, Reverse, Transfer, VoidHold
from services.points.ledger.core.state import Result
from services.points.ledger.errors import (
    AccountNotFound,
    AmountNotPositive,
    AmountTooLarge,
    HoldExceeded,
    InsufficientPoints,
    LapseNotAhead,
    LedgersMixed,
    ReferenceUsed,
    ReversalExceedsTransfer,
    SameAccount,
)
from services.points.ledger.terms import AccountKey, TransferCode
from services.points.postings.errors import (
    HouseholdUnknown,
    LinkedFailed,
    LinkOpen,
    NotByHand,
    OccurredAhead,
    OwnPoints,
    OwnProposal,
    ProposalClosed,
    ProposalLapsed,
)
from services.points.postings.schemas import HoldPostIn, HoldVoidIn
from services.points.postings.tables import Proposal
from services.points.postings.terms import HAND_PURPOSES, HAND_REVERSIBLE, ProposalState
from services.points.terms import OwnerKind

CLOCKS_APART = timedelta(minutes=5)
"""How far the clock of whoever posts may be ahead of ours."""

FIELDS: dict[type[DomainError], str] = {
    AmountNotPositive: "amount",
    AmountTooLarge: "amount",
    InsufficientPoints: "amount",
    ReversalExceedsTransfer: "amount",
    HoldExceeded: "amount",
    SameAccount: "credit",
    LedgersMixed: "credit",
    ReferenceUsed: "reference",
    LapseNotAhead: "lapses_at",
    OccurredAhead: "occurred_at",
}
"""The field that each refusal of the ledger is about."""

_CORE_REFUSES = frozenset({TransferCode.REVERSAL, TransferCode.MERGER, TransferCode.EXPIRY})


def groups(linked: Sequence[bool], *, atomic: bool) -> Iterator[range]:
    """The items that succeed or fail together, in their order. Raises LinkOpen where the last one waits for a next."""
    last = len(linked) - 1
    if linked[last]:
        raise LinkOpen(fields=[FieldError(f"body.transfers.{last}.linked", "there is no next transfer")])
    if atomic:
        yield range(len(linked))
        return
    start = 0
    for number, goes_on in enumerate(linked):
        if not goes_on:
            yield range(start, number + 1)
            start = number + 1


def households_named(commands: Iterable[Command]) -> set[UUID]:
    """The households whose wallets are named by what they are."""
    sides = [ref for one in commands if isinstance(one, Transfer | Reserve) for ref in (one.debit, one.credit)]
    return {ref.owner_id for ref in sides if isinstance(ref, AccountKey) and ref.owner_kind is OwnerKind.HOUSEHOLD}


def carry_out(
    book: Book,
    commands: Sequence[Command],
    together: Iterable[range],
    at: datetime,
    *,
    prefixes: Sequence[str],
    known: Collection[UUID],
) -> list[Result | DomainError]:
    """Carry out groups of commands one after another: a result for each, or why it was refused.

    Where one of a group is refused, the others of it are LinkedFailed. `prefixes` say where each command stands in the
    request's body; `known` are the households that there are.
    """
    outcomes: list[Result | DomainError] = []
    for group in together:
        done: list[Result | DomainError] = []
        try:
            with book.together():
                for number in group:
                    done.append(apply(book, commands[number], at, prefixes[number], known))  # noqa: PERF401  # up to the first refusal
        except DomainError as refusal:
            culprit = len(done)
            done = [refusal if number == culprit else LinkedFailed() for number in range(len(group))]
        outcomes += done
    return outcomes


def apply(book: Book, command: Command, at: datetime, prefix: str, known: Collection[UUID]) -> Result:
    """Carry out one command; what refuses it names the field that it is about, within `prefix`."""
    check_by_hand(book, command, at, prefix, known)
    try:
        return book.apply(command)
    except DomainError as error:
        field = FIELDS.get(type(error))
        if field is not None and not error.fields:
            error.fields = (FieldError(f"{prefix}.{field}", error.title),)
        raise


def check_by_hand(book: Book, command: Command, at: datetime, prefix: str, known: Collection[UUID]) -> None:
    """Whether this may be done by hand at all. Raises AccountNotFound, HouseholdUnknown, NotByHand, OccurredAhead."""
    match command:
        case Transfer() | Reserve():
            check_account(book, command.debit, prefix, "debit", known)
            check_account(book, command.credit, prefix, "credit", known)
        case Reverse():
            past = book.state.transfers.get(command.transfer_id)
            if past is not None and past.code not in HAND_REVERSIBLE and past.code not in _CORE_REFUSES:
                raise NotByHand
        case PostHold():
            pass
        case _:
            return
    if command.occurred_at > at + CLOCKS_APART:
        raise OccurredAhead(fields=[FieldError(f"{prefix}.occurred_at", "lies in the future")])


def check_account(book: Book, ref: AccountRef, prefix: str, side: str, known: Collection[UUID]) -> None:
    """An account that is named by its id is one that is posted to by hand; a household's is one of a household that is
    known, or has points already. (Who works here is not told to this service: any person may be named.)
    """
    if not isinstance(ref, UUID):
        household = ref.owner_kind is OwnerKind.HOUSEHOLD
        if household and ref.owner_id not in known and ref.id not in book.state.accounts:
            raise HouseholdUnknown(fields=[FieldError(f"{prefix}.{side}.owner_id", "There is no such household")])
        return
    account = book.state.accounts.get(ref)
    if account is None:
        raise AccountNotFound(fields=[FieldError(f"{prefix}.{side}", "There is no such account")])
    if account.purpose not in HAND_PURPOSES:
        raise NotByHand(fields=[FieldError(f"{prefix}.{side}", f"is an account of {account.purpose}")])


def points_of(command: Command, outcome: Result | DomainError) -> int:
    """How many points a command is about: what it asks for, or, where that means "all of it", what it came to."""
    if isinstance(command, VoidHold):
        return 0
    amount: int | None = getattr(command, "amount", None)
    if amount is not None:
        return amount
    moved = (outcome.transfer or outcome.hold) if isinstance(outcome, Result) else None
    return moved.amount if moved else 0


def points_alone(body: In, outcomes: Iterable[Result | DomainError]) -> int:
    """How many points were moved or held by somebody alone. Those of a hold counted when it was made."""
    if isinstance(body, HoldPostIn | HoldVoidIn):
        return 0
    moved = [outcome.transfer or outcome.hold for outcome in outcomes if isinstance(outcome, Result)]
    return sum(each.amount for each in moved if each is not None)


def touches(outcomes: Iterable[Result | DomainError], accounts: Collection[UUID]) -> bool:
    """Whether points of any of these accounts were moved or held."""
    for outcome in outcomes:
        if isinstance(outcome, Result):
            for side in (outcome.debit, outcome.credit):
                if side is not None and side.account_id in accounts:
                    return True
    return False


def check_decidable(proposal: Proposal, by: Actor, at: datetime) -> None:
    """Whether this administrator may decide on a proposal now. Raises OwnProposal, ProposalClosed, ProposalLapsed."""
    if proposal.proposed_by == by.id:
        raise OwnProposal
    if proposal.state is not ProposalState.PENDING:
        raise ProposalClosed
    if proposal.lapses_at <= at:
        raise ProposalLapsed


def check_no_own_points(outcomes: Iterable[Result | DomainError], own: Collection[UUID]) -> None:
    """Nobody approves, or gives back alone, what moves points of their own: raises OwnPoints."""
    if touches(outcomes, own):
        raise OwnPoints
