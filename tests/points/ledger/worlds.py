"""Where the examples happen: in the model, in the core, and in the database. All three are asked in the same words."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid5

from chassis.core.beijing import BEIJING, day_of
from chassis.core.errors import DomainError
from chassis.core.ids import new_id
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import (
    Award,
    CapKey,
    Command,
    ExpireLot,
    LapseHold,
    Merge,
    PostHold,
    Reserve,
    Reverse,
    TakeBack,
    Transfer,
    VoidHold,
)
from services.points.ledger.core.state import (
    AccountState,
    Changes,
    HoldStateRow,
    LedgerState,
    LotState,
    NewMerger,
    NewTransfer,
    PastTransfer,
    Result,
    State,
)
from services.points.ledger.terms import (
    AccountKey,
    HoldState,
    Purpose,
    TransferCode,
    coupon_liability,
    expired,
    issuance,
)
from services.points.terms import LedgerName, OwnerKind
from tests.points.ledger.examples import BEGINNING, HoldPicture, LotPicture, Picture, Step, TransferPicture
from tests.points.ledger.model import Model

NAMES = UUID("6a4de9a4-2b0f-5f0e-9f0c-53d1c6a35a11")
SYSTEM = UUID(int=0)
SYSTEM_ACCOUNTS = {
    "issued": issuance(LedgerName.CIVIC),
    "expired": expired(LedgerName.CIVIC),
    "coupons": coupon_liability(),
    "paid": AccountKey(LedgerName.CIVIC, OwnerKind.SYSTEM, SYSTEM, Purpose.SETTLED),
    "staff-issued": issuance(LedgerName.STAFF),
    "staff-expired": expired(LedgerName.STAFF),
}
NO_ACCOUNT = {"person", "unit", "community"}
UUIDS = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

Key = TypeVar("Key")


class World(Protocol):
    """A ledger that can be told steps, and shows itself."""

    def at(self, moment: datetime) -> None: ...

    def do(self, steps: Sequence[Step]) -> list[int] | str: ...

    def picture(self) -> Picture: ...


def id_of(name: str) -> UUID:
    """Whose id a name stands for."""
    return uuid5(NAMES, name)


def key_of(kinds: Mapping[str, str], name: str) -> AccountKey:
    """The account that a name stands for."""
    if name in SYSTEM_ACCOUNTS:
        return SYSTEM_ACCOUNTS[name]
    match kinds[name]:
        case "household":
            return AccountKey(LedgerName.CIVIC, OwnerKind.HOUSEHOLD, id_of(name))
        case "staff":
            return AccountKey(LedgerName.STAFF, OwnerKind.PERSON, id_of(name))
        case "merchant":
            return AccountKey(LedgerName.CIVIC, OwnerKind.MERCHANT, id_of(name), Purpose.MERCHANT_PAYABLE)
        case kind:
            raise ValueError(f"{name} is a {kind} and has no account")


def there(values: Mapping[Key, int]) -> dict[Key, int]:
    """Without those that are zero."""
    return {key: value for key, value in values.items() if value}


class ModelWorld:
    """The model."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.model = Model(dict(kinds))

    def at(self, moment: datetime) -> None:
        self.model.now = moment

    def do(self, steps: Sequence[Step]) -> list[int] | str:
        return self.model.do(steps)

    def picture(self) -> Picture:
        model = self.model

        def held(points: Mapping[str, int]) -> int:
            return sum(number for place, number in points.items() if place.startswith("hold "))

        transfers: dict[str, list[TransferPicture]] = {"civic": [], "staff": []}
        for name, row in model.transfers.items():
            shown = TransferPicture(name, row.debit, row.credit, row.amount, row.code, row.reverses, row.rule, row.at)
            transfers[model.ledger(row.debit)].append(shown)
        return Picture(
            balance=there(model.balance),
            held=there(model.held),
            debt=there(model.debt),
            merged=dict(model.merged),
            lots={
                name: LotPicture(lot.wallet, lot.points["free"], held(lot.points), lot.until.date())
                for name, lot in model.lots.items()
            },
            holds={
                name: HoldPicture(hold.wallet, hold.state, hold.amount, hold.posted)
                for name, hold in model.holds.items()
            },
            civic=transfers["civic"],
            staff=transfers["staff"],
            allocations=there(model.allocated),
            caps=there(model.caps),
        )


@dataclass
class Tables:
    """The ledger's rows, in memory."""

    ledgers: dict[LedgerName, LedgerState] = field(
        default_factory=lambda: {name: LedgerState(name, 0, BEGINNING) for name in LedgerName}
    )
    accounts: dict[UUID, AccountState] = field(default_factory=dict)
    lots: dict[UUID, LotState] = field(default_factory=dict)
    holds: dict[UUID, HoldStateRow] = field(default_factory=dict)
    transfers: dict[UUID, NewTransfer] = field(default_factory=dict)
    allocations: dict[tuple[UUID, UUID], int] = field(default_factory=dict)
    mergers: dict[UUID, NewMerger] = field(default_factory=dict)
    caps: dict[CapKey, int] = field(default_factory=dict)

    def write(self, changes: Changes) -> None:
        """What the database does with a batch's rows; its constraints hold here too."""
        self.ledgers |= {name: replace(row) for name, row in changes.ledgers.items()}
        self._put(self.accounts, changes.accounts, changes.new_accounts)
        self._put(self.lots, changes.lots, changes.new_lots)
        self._put(self.holds, changes.holds, changes.new_holds)
        for transfer in changes.transfers:
            assert transfer.id not in self.transfers
            self.transfers[transfer.id] = transfer
        for cause, lot, amount in changes.allocations:
            assert amount != 0
            assert (cause, lot) not in self.allocations, "an allocation for each cause and lot"
            self.allocations[cause, lot] = amount
        self.mergers |= {merger.id: merger for merger in changes.mergers}
        self.caps |= changes.caps

    @staticmethod
    def _put(table: dict[UUID, Any], rows: Mapping[UUID, Any], new: set[UUID]) -> None:
        assert new <= rows.keys()
        assert rows.keys() - new <= table.keys(), "what is there is updated, what is new is inserted"
        assert not new & table.keys()
        table |= {id_: replace(row) for id_, row in rows.items()}

    def state(self, at: datetime) -> State:
        """All of it, as a batch finds it."""
        return State(
            at=at,
            new_id=new_id,
            ledgers={name: replace(row) for name, row in self.ledgers.items()},
            accounts={id_: replace(row) for id_, row in self.accounts.items()},
            lots={id_: replace(row) for id_, row in self.lots.items()},
            holds={id_: replace(row) for id_, row in self.holds.items()},
            transfers=self.past(),
            references={row.reference for row in self.transfers.values()}
            | {row.reference for row in self.mergers.values()},
            hold_references={hold.reference for hold in self.holds.values()},
            caps=dict(self.caps),
        )

    def past(self) -> dict[UUID, PastTransfer]:
        """The transfers with what a reversal must know of them."""
        past = {
            row.id: PastTransfer(
                row.id,
                row.ledger,
                row.debit_account_id,
                row.credit_account_id,
                row.amount,
                row.code,
                row.rule,
                0,
                {},
                {},
            )
            for row in self.transfers.values()
        }
        for row in self.transfers.values():
            if row.reverses_id:
                past[row.reverses_id].reversed += row.amount
        for (cause, lot), amount in self.allocations.items():
            if cause in past and amount < 0:
                past[cause].taken[lot] = -amount
        for (cause, lot), amount in self.allocations.items():
            origin = self.transfers[cause].reverses_id if cause in past else None
            if origin and amount > 0 and lot in past[origin].taken:
                past[origin].taken[lot] -= amount
        for each in past.values():
            each.taken = there(each.taken)
            if each.code is TransferCode.EXPIRY:
                for lot, amount in each.taken.items():
                    past[lot].expiries[each.id] = amount
        return past


class Names:
    """Names for ids. A reference is a name; an id in it stands for what was named before."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = kinds
        self.accounts = {key_of(kinds, name).id: name for name in kinds if kinds[name] not in NO_ACCOUNT}
        self.holders = {id_of(name): name for name in kinds}
        self.by_id: dict[UUID, str] = {}
        self.holds: dict[str, UUID] = {}
        self.transfers: dict[str, UUID] = {}

    def learn(self, rows: Tables | Changes) -> None:
        """What the rows are called; those that know a name already keep it."""
        for hold in rows.holds.values():
            self.by_id[hold.id] = hold.reference
            self.holds[hold.reference] = hold.id
        transfers = rows.transfers if isinstance(rows.transfers, list) else rows.transfers.values()
        for transfer in transfers:
            if transfer.id not in self.by_id:
                name = re.sub(UUIDS, lambda found: self.by_id[UUID(found[0])], transfer.reference)
                self.by_id[transfer.id] = name
                self.transfers[name] = transfer.id
        for merger in rows.mergers if isinstance(rows.mergers, list) else rows.mergers.values():
            self.by_id[merger.id] = merger.reference

    def cap(self, cap: tuple[str, str, str]) -> CapKey:
        rule, holder, period = cap
        scope = "household" if self.kinds[holder] == "household" else "person"
        return CapKey(rule, scope, id_of(holder), period)


class CoreWorld:
    """The core, with tables around it as the database is: what it does not say is not written."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.tables = Tables()
        self.names = Names(kinds)
        self.now = BEGINNING
        self.facts = Facts()

    def at(self, moment: datetime) -> None:
        self.now = moment.astimezone(UTC)

    def do(self, steps: Sequence[Step]) -> list[int] | str:
        return self.batch([steps])[0]

    def batch(self, groups: Sequence[Sequence[Step]]) -> list[list[int] | str]:
        """Groups of steps, one after another in one batch; each group succeeds or fails as a whole."""
        book = Book(self.tables.state(self.now))
        outcomes = [self._group(book, steps) for steps in groups]
        self.tables.write(book.changes)
        self.names.learn(book.changes)
        check_written(self.tables, book.state)
        return outcomes

    def _group(self, book: Book, steps: Sequence[Step]) -> list[int] | str:
        facts = Facts(dict(self.facts.granted), set(self.facts.withdrawn))
        names = dict(self.names.holds), dict(self.names.transfers)
        try:
            with book.together():
                return [self._step(book, step) for step in steps]
        except DomainError as refusal:
            self.facts = facts
            self.names.holds, self.names.transfers = names
            return refusal.code

    def _step(self, book: Book, step: Step) -> int:
        if self.facts.settle(step):
            return 0
        result = book.apply(command(step, self.names, self.facts, self.now))
        check_result(book.state, result)
        self.names.learn(book.changes)
        self.facts.note(step, result)
        return granted(step, result)

    def picture(self) -> Picture:
        check_tables(self.tables)
        return picture(self.tables, self.names)


@dataclass
class Facts:
    """What the part that makes the awards knows of each fact: what it was granted, or that it was withdrawn."""

    granted: dict[str, tuple[UUID | None, int, tuple[str, str, str] | None]] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)

    def settle(self, step: Step) -> bool:
        """Is there nothing to ask of the ledger? A withdrawal of what is not known leaves a tombstone."""
        if step.verb == "withdraw" and step.args["of"] not in self.granted:
            self.withdrawn.add(step.args["of"])
            return True
        return step.verb == "award" and step.args["name"] in self.withdrawn

    def note(self, step: Step, result: Result) -> None:
        """What became of an award or a withdrawal."""
        if step.verb == "award":
            transfer_id = result.transfer.id if result.transfer else None
            cap = step.args["cap"]
            self.granted[step.args["name"]] = transfer_id, result.granted, cap[0] if cap else None
        if step.verb == "withdraw":
            del self.granted[step.args["of"]]
            self.withdrawn.add(step.args["of"])


def granted(step: Step, result: Result) -> int:
    """The points that a step granted or took back."""
    return result.transfer.amount if step.verb == "reverse" and result.transfer else result.granted


def command(step: Step, names: Names, facts: Facts, now: datetime) -> Command:
    """The core's command for a step."""
    args = dict(step.args)

    def account(name: str) -> AccountKey:
        return key_of(names.kinds, args[name])

    def known(table: Mapping[str, UUID], name: str) -> UUID:
        return table.get(args[name]) or id_of(args[name])

    match step.verb:
        case "transfer":
            code = TransferCode(args["code"])
            return Transfer(account("debit"), account("credit"), args["amount"], code, args["name"], now)
        case "hold":
            lapses = args["lapses"].astimezone(UTC)
            code = TransferCode(args["code"])
            return Reserve(account("wallet"), account("credit"), args["amount"], code, args["name"], now, lapses)
        case "post":
            return PostHold(known(names.holds, "name"), now, args.get("amount"))
        case "void":
            return VoidHold(known(names.holds, "name"))
        case "lapse":
            return LapseHold(known(names.holds, "name"))
        case "expire":
            return ExpireLot(known(names.transfers, "name"))
        case "reverse":
            return Reverse(known(names.transfers, "of"), args["name"], now, args.get("amount"))
        case "merge":
            return Merge(account("old"), account("new"), args["name"], now)
        case "award":
            cap = (names.cap(args["cap"][0]), args["cap"][1]) if args["cap"] else None
            return Award(account("wallet"), args["due"], args["rule"], args["name"], now, cap)
        case _:
            transfer_id, points, held_to = facts.granted[args["of"]]
            return TakeBack(transfer_id, points, args["name"], now, names.cap(held_to) if held_to else None)


def picture(tables: Tables, names: Names) -> Picture:
    """What rows say, in names."""
    account, by_id = names.accounts, names.by_id
    rows: dict[LedgerName, list[TransferPicture]] = {name: [] for name in LedgerName}
    for row in sorted(tables.transfers.values(), key=lambda row: row.sequence):
        reverses = by_id[row.reverses_id] if row.reverses_id else None
        debit, credit = account[row.debit_account_id], account[row.credit_account_id]
        at = row.posted_at.astimezone(BEIJING)
        shown = TransferPicture(by_id[row.id], debit, credit, row.amount, row.code, reverses, row.rule, at)
        rows[row.ledger].append(shown)
    accounts = {account[row.id]: row for row in tables.accounts.values()}
    return Picture(
        balance=there({name: row.balance for name, row in accounts.items()}),
        held=there({name: row.held for name, row in accounts.items()}),
        debt=there({name: row.debt for name, row in accounts.items()}),
        merged={name: account[row.merged_into_id] for name, row in accounts.items() if row.merged_into_id},
        lots={
            by_id[lot.id]: LotPicture(account[lot.account_id], lot.free, lot.held, day_of(lot.expires_at))
            for lot in sorted(tables.lots.values(), key=lambda lot: lot.sequence)
        },
        holds={
            by_id[hold.id]: HoldPicture(account[hold.debit_account_id], hold.state, hold.amount, hold.posted_amount)
            for hold in tables.holds.values()
        },
        civic=rows[LedgerName.CIVIC],
        staff=rows[LedgerName.STAFF],
        allocations={(by_id[cause], by_id[lot]): amount for (cause, lot), amount in tables.allocations.items()},
        caps=there({(cap.rule_code, names.holders[cap.holder_id], cap.period): n for cap, n in tables.caps.items()}),
    )


def check_result(state: State, result: Result) -> None:
    """What a command's answer says of its accounts is so."""
    for side in (result.debit, result.credit):
        if side is not None:
            row = state.accounts[side.account_id]
            assert (side.balance, side.available, side.version) == (row.balance, row.available, row.version)
    if result.transfer and not result.merger:
        assert result.debit is not None
        assert result.credit is not None
        assert result.debit.account_id == result.transfer.debit_account_id
        assert result.credit.account_id == result.transfer.credit_account_id


def check_written(tables: Tables, state: State) -> None:
    """What is written is what the core has in mind: the next batch starts from where this one ended."""
    again = tables.state(state.at)
    assert again.ledgers == state.ledgers
    assert again.accounts == state.accounts
    assert again.lots == state.lots
    assert again.holds == state.holds
    assert again.references == state.references
    assert again.hold_references == state.hold_references
    assert there(again.caps) == there(state.caps)
    final = {TransferCode.REVERSAL, TransferCode.EXPIRY, TransferCode.MERGER}
    for id_, past in again.transfers.items():
        if past.code not in final:
            assert state.transfers[id_] == past


def check_tables(tables: Tables) -> None:
    """What must hold of the rows after every command, whatever was asked."""
    for ledger in tables.ledgers.values():
        check_numbers(tables, ledger)
    for account in tables.accounts.values():
        lots = [lot for lot in tables.lots.values() if lot.account_id == account.id]
        held = sum(
            hold.amount
            for hold in tables.holds.values()
            if hold.debit_account_id == account.id and hold.state is HoldState.OPEN
        )
        assert account.held == held
        if account.key.keeps_lots:
            assert account.balance == sum(lot.free + lot.held for lot in lots) - account.debt
            assert account.held == sum(lot.held for lot in lots)
            assert not account.debt or not any(lot.free for lot in lots), "whatever is free pays the debt"
        else:
            assert not lots
            assert account.debt == 0
    for lot in tables.lots.values():
        moved = sum(amount for (_, lot_id), amount in tables.allocations.items() if lot_id == lot.id)
        assert lot.amount + moved == lot.free + lot.held
        assert min(lot.free, lot.held) >= 0


def check_numbers(tables: Tables, ledger: LedgerState) -> None:
    """Numbers and versions are dense, balances follow from one another, and the sum is zero."""
    rows = [row for row in tables.transfers.values() if row.ledger is ledger.name]
    rows.sort(key=lambda row: row.sequence)
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    assert ledger.last_sequence == len(rows)
    assert all(before.posted_at <= after.posted_at for before, after in pairwise(rows))
    balance, version = Counter[UUID](), Counter[UUID]()
    for row in rows:
        balance[row.debit_account_id] -= row.amount
        balance[row.credit_account_id] += row.amount
        version.update((row.debit_account_id, row.credit_account_id))
        for id_, number, after in (
            (row.debit_account_id, row.debit_version, row.debit_balance),
            (row.credit_account_id, row.credit_version, row.credit_balance),
        ):
            assert (version[id_], balance[id_]) == (number, after)
    accounts = [row for row in tables.accounts.values() if row.ledger is ledger.name]
    assert {row.id: (row.balance, row.version) for row in accounts} == {
        row.id: (balance[row.id], version[row.id]) for row in accounts
    }
    assert sum(row.balance for row in accounts) == 0
