"""What of the ledger a batch's commands may touch, as far as the commands themselves say."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from services.points.ledger.core.commands import (
    AccountRef,
    Award,
    CapKey,
    Command,
    ExpireLot,
    LapseHold,
    Linked,
    Merge,
    PostHold,
    Reserve,
    Reverse,
    TakeBack,
    Transfer,
    VoidHold,
)
from services.points.ledger.terms import AccountKey, issuance
from services.points.terms import LedgerName

ALL = 2**62
"""More than any wallet has: all of its lots."""


@dataclass(slots=True)
class Needs:
    """What to load. References and ids need not exist; an account named by its key may be a new one."""

    accounts: set[AccountRef] = field(default_factory=set)
    spending: dict[UUID, int] = field(default_factory=dict)
    """How many points of a wallet may be spent or held at most: so much of its lots is loaded, the first to expire
    first. These are among the accounts, too.
    """
    transfers: set[UUID] = field(default_factory=set)
    holds: set[UUID] = field(default_factory=set)
    lots: set[UUID] = field(default_factory=set)
    references: set[str] = field(default_factory=set)
    """Of transfers and mergers."""
    hold_references: set[str] = field(default_factory=set)
    caps: set[CapKey] = field(default_factory=set)

    def add(self, other: "Needs") -> None:
        """Need what another needs as well."""
        self.accounts |= other.accounts
        for ref, amount in other.spending.items():
            self.spend(ref, amount)
        self.transfers |= other.transfers
        self.holds |= other.holds
        self.lots |= other.lots
        self.references |= other.references
        self.hold_references |= other.hold_references
        self.caps |= other.caps

    def spend(self, ref: AccountRef, amount: int) -> None:
        """Need what may be taken from an account."""
        self.accounts.add(ref)
        if isinstance(ref, UUID) or ref.keeps_lots:
            id_ = ref if isinstance(ref, UUID) else ref.id
            self.spending[id_] = min(self.spending.get(id_, 0) + max(amount, 0), ALL)


def needs_of(commands: Iterable[Command | Linked]) -> Needs:
    """What these commands may touch."""
    needs = Needs()
    for command in commands:
        if isinstance(command, Linked):
            for part in command.commands:
                _add(needs, part)
        else:
            _add(needs, command)
    return needs


def _add(needs: Needs, command: Command) -> None:
    match command:
        case Transfer():
            needs.spend(command.debit, command.amount)
            needs.accounts.add(command.credit)
            needs.references.add(command.reference)
        case Reserve():
            needs.spend(command.debit, command.amount)
            needs.accounts.add(command.credit)
            needs.hold_references.add(command.reference)
        case PostHold():
            needs.holds.add(command.hold_id)
            needs.references.add(f"hold/{command.hold_id}/post")
        case VoidHold() | LapseHold():
            needs.holds.add(command.hold_id)
        case ExpireLot():
            needs.lots.add(command.lot_id)
        case Reverse():
            needs.transfers.add(command.transfer_id)
            needs.references.add(command.reference)
        case _:
            _add_rest(needs, command)


def _add_rest(needs: Needs, command: Award | TakeBack | Merge) -> None:
    needs.references.add(command.reference)
    match command:
        case Award():
            needs.accounts |= {command.wallet, issuance(command.wallet.ledger)}
            if command.cap:
                needs.caps.update((command.cap[0], *command.beside))
        case TakeBack():
            if command.transfer_id:
                needs.transfers.add(command.transfer_id)
            if command.cap:
                needs.caps.add(command.cap)
        case Merge():
            needs.spend(command.old, ALL)
            needs.spend(command.new, ALL)


def ledgers_of(command: Command | Linked) -> set[LedgerName]:
    """The ledgers that a command may post to: both, where it does not say by itself."""
    if isinstance(command, Linked):
        return set().union(*map(ledgers_of, command.commands))
    match command:
        case Transfer() | Reserve():
            named = {ref.ledger for ref in (command.debit, command.credit) if isinstance(ref, AccountKey)}
        case Merge():
            named = {command.old.ledger, command.new.ledger}
        case Award():
            named = {command.wallet.ledger}
        case _:
            named = set()
    return named or set(LedgerName)
