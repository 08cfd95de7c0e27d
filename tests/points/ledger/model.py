"""The ledger's rules a second time, as plainly as they can be put: what the core and the database are held against.

Accounts, holds and transfers go by their names, moments are Beijing's. A lot says how many of its points are where:
"free", "hold H1", or the name of the transfer (hold, merger) that took them. A refused command is undone by a copy.
Nothing here is shared with the service.
"""

import pickle
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

LARGEST = 2**53 - 1
BEGINNING = datetime(2024, 1, 1, tzinfo=ZoneInfo("Asia/Shanghai"))


class Refused(Exception):
    """The code of a refusal."""


class Step(Protocol):
    """A command: the name of a method of the model, and its arguments."""

    @property
    def verb(self) -> str: ...

    @property
    def args(self) -> dict[str, Any]: ...


class Transfer(NamedTuple):
    debit: str
    credit: str
    amount: int
    code: str
    at: datetime
    reverses: str | None
    rule: tuple[str, int] | None
    subjects: tuple[str, ...]


@dataclass
class Lot:
    name: str
    wallet: str
    until: datetime
    points: Counter[str]


@dataclass
class Hold:
    wallet: str
    credit: str
    amount: int
    code: str
    lapses: datetime
    state: str = "open"
    posted: int | None = None


def require(holds: bool, code: str) -> None:
    if not holds:
        raise Refused(code)


class Model:
    """Two ledgers. `kinds` says of each account whether it is a household's wallet, a member of staff's, or neither."""

    def __init__(self, kinds: dict[str, str]) -> None:
        self.kinds, self.now = kinds, BEGINNING
        self.balance, self.held, self.debt = Counter[str](), Counter[str](), Counter[str]()
        self.merged: dict[str, str] = {}
        self.transfers: dict[str, Transfer] = {}
        self.lots: dict[str, Lot] = {}
        self.holds: dict[str, Hold] = {}
        self.allocated = Counter[tuple[str, str]]()
        self.caps = Counter[tuple[str, str, str]]()
        self.awards: dict[str, tuple[int, tuple[str, str, str] | None]] = {}
        self.tombstones: set[str] = set()

    def do(self, steps: Iterable[Step]) -> list[int] | str:
        """Carry all of them out, or, where one is refused, none. The points that each granted, or the refusal."""
        before = pickle.dumps(vars(self))
        try:
            return [getattr(self, step.verb)(**step.args) or 0 for step in steps]
        except Refused as refused:
            vars(self).update(pickle.loads(before))
            return str(refused)

    # What the commands are made of

    def stands(self, account: str) -> str:
        return self.merged.get(account, account)

    def ledger(self, account: str) -> str:
        return "staff" if self.kinds[account].startswith("staff") else "civic"

    def order(self, wallet: str) -> list[Lot]:
        """Its lots, the first to expire first; of those that expire together the oldest."""
        return sorted((lot for lot in self.lots.values() if lot.wallet == wallet), key=lambda lot: lot.until)

    def move(self, debit: str, credit: str, amount: int, code: str, name: str, **more: Any) -> None:
        self.balance[debit] -= amount
        self.balance[credit] += amount
        said = {"reverses": None, "rule": None, "subjects": ()} | more
        self.transfers[name] = Transfer(debit, credit, amount, code, self.now, **said)

    def take(self, lots: Sequence[Lot], amount: int, here: str, there: str, cause: str) -> int:
        """As far as there are any, `amount` points of these lots go from one place to another; how many are missing."""
        for lot in lots:
            taken = min(amount, lot.points[here])
            lot.points[here] -= taken
            lot.points[there] += taken
            self.allocated[cause, lot.name] += taken * (there.startswith(OURS) - here.startswith(OURS))
            amount -= taken
        return amount

    def lose(self, lot: Lot, amount: int, name: str) -> None:
        """Free points whose time is over expire."""
        if amount and lot.until <= self.now:
            self.move(lot.wallet, "expired", amount, "expiry", name)
            self.take([lot], amount, "free", name, name)

    def sweep(self, wallet: str) -> None:
        for lot in self.order(wallet):
            self.expire(lot.name)

    def receive(self, wallet: str, amount: int, name: str) -> None:
        """What comes in pays the debt; the rest makes a lot, for this year and the next."""
        if self.kinds[wallet] == "household":
            paid = min(amount, self.debt[wallet])
            self.debt[wallet] -= paid
            if amount > paid:
                until = datetime(self.now.year + 2, 1, 1, tzinfo=self.now.tzinfo)
                self.lots[name] = Lot(name, wallet, until, Counter(free=amount - paid))

    def owe(self, wallet: str, amount: int, cause: str) -> None:
        """A debt is paid at once by what is free."""
        self.debt[wallet] = self.take(self.order(wallet), self.debt[wallet] + amount, "free", cause, cause)

    def release(self, name: str) -> None:
        """What a hold keeps comes back: to pay a debt, else to its lot, else it expires."""
        wallet = self.holds[name].wallet
        for lot in self.order(wallet):
            back = lot.points[f"hold {name}"]
            owed = min(back, self.debt[wallet])
            self.debt[wallet] -= owed
            self.take([lot], back, f"hold {name}", "free", name)
            self.take([lot], owed, "free", name, name)
            self.lose(lot, back - owed, f"expiry/{lot.name}/{name}")

    def asked(self, debit: str, credit: str, amount: int, name: str, known: Iterable[str]) -> tuple[str, str]:
        debit, credit = self.stands(debit), self.stands(credit)
        require(amount > 0, "amount_not_positive")
        require(amount <= LARGEST, "amount_too_large")
        require(self.ledger(debit) == self.ledger(credit), "ledgers_mixed")
        require(debit != credit, "same_account")
        require(name not in known, "reference_used")
        return debit, credit

    def spendable(self, wallet: str, amount: int) -> None:
        self.sweep(wallet)
        floor = 0 if self.kinds[wallet] in ("household", "staff") else None
        require(floor is None or self.balance[wallet] - self.held[wallet] - amount >= floor, "insufficient_points")

    # The commands

    def transfer(self, code: str, name: str, amount: int, debit: str, credit: str) -> None:
        debit, credit = self.asked(debit, credit, amount, name, self.transfers)
        self.spendable(debit, amount)
        self.take(self.order(debit), amount, "free", name, name)
        self.move(debit, credit, amount, code, name)
        self.receive(credit, amount, name)

    def hold(self, code: str, name: str, amount: int, wallet: str, credit: str, lapses: datetime) -> None:
        wallet, credit = self.asked(wallet, credit, amount, name, self.holds)
        require(lapses > self.now, "lapse_not_ahead")
        self.spendable(wallet, amount)
        self.take(self.order(wallet), amount, "free", f"hold {name}", name)
        self.held[wallet] += amount
        self.holds[name] = Hold(wallet, credit, amount, code, lapses)

    def closing(self, name: str) -> Hold:
        require(name in self.holds, "hold_not_found")
        hold = self.holds[name]
        require(hold.state == "open", f"hold_{hold.state}" if hold.state != "posted" else "hold_already_posted")
        return hold

    def post(self, name: str, amount: int | None = None) -> None:
        hold = self.closing(name)
        require(self.now < hold.lapses, "hold_lapsed")
        amount = hold.amount if amount is None else amount
        require(amount > 0, "amount_not_positive")
        require(amount <= hold.amount, "hold_exceeded")
        wallet, credit, posting = hold.wallet, self.stands(hold.credit), f"hold/{name}/post"
        require(wallet != credit, "same_account")
        hold.state, hold.posted = "posted", amount
        self.held[wallet] -= hold.amount
        self.take(self.order(wallet), amount, f"hold {name}", posting, posting)
        self.move(wallet, credit, amount, hold.code, posting)
        self.receive(credit, amount, posting)
        self.release(name)

    def void(self, name: str) -> None:
        hold = self.closing(name)
        require(self.now < hold.lapses, "hold_lapsed")
        self.close(name, "voided")

    def lapse(self, name: str) -> None:
        if name in self.holds and self.holds[name].state == "open" and self.holds[name].lapses <= self.now:
            self.close(name, "lapsed")

    def close(self, name: str, state: str) -> None:
        hold = self.holds[name]
        hold.state = state
        self.held[hold.wallet] -= hold.amount
        self.release(name)

    def expire(self, name: str) -> None:
        if name in self.lots:
            self.lose(self.lots[name], self.lots[name].points["free"], f"expiry/{name}")

    def reverse(self, of: str, name: str, amount: int | None = None) -> int:
        require(of in self.transfers, "transfer_not_found")
        past = self.transfers[of]
        require(past.code not in ("reversal", "merger", "expiry"), "not_reversible")
        left = past.amount - sum(other.amount for other in self.transfers.values() if other.reverses == of)
        require(amount is None or amount > 0, "amount_not_positive")
        amount = left if amount is None else amount
        require(0 < amount <= left, "reversal_exceeds_transfer")
        giver, taker = self.stands(past.credit), self.stands(past.debit)
        require(giver != taker, "same_account")
        require(name not in self.transfers, "reference_used")
        if self.kinds[giver] == "household":
            self.give_up(of, giver, amount, name)
        self.move(giver, taker, amount, "reversal", name, reverses=of, rule=past.rule, subjects=past.subjects)
        if self.kinds[taker] == "household":
            self.come_back(of, taker, amount, name)
        return amount

    def give_up(self, of: str, wallet: str, amount: int, name: str) -> None:
        """A credit is taken back: the free rest of its lot, its expired part, and the rest is owed."""
        if of in self.lots:
            lot = self.lots[of]
            self.expire(of)
            amount = self.take([lot], amount, "free", name, name)
            lapsed = [
                expiry for expiry in self.transfers if lot.points[expiry] and self.transfers[expiry].code == "expiry"
            ]
            for number, expiry in enumerate(lapsed, 1):
                back = min(amount, lot.points[expiry])
                if back:
                    again = f"{name}/expiry/{number}"
                    self.move("expired", wallet, back, "reversal", again, reverses=expiry)
                    self.take([lot], back, expiry, "free", again)
                    amount = self.take([lot], amount, "free", name, name)
        if amount:
            self.sweep(wallet)
            self.owe(wallet, amount, name)

    def come_back(self, of: str, wallet: str, amount: int, name: str) -> None:
        """A spend is taken back: it pays the debt, and the rest goes to the lots that it came from, the last first."""
        paid = min(amount, self.debt[wallet])
        self.debt[wallet] -= paid
        amount -= paid
        for lot in reversed(self.order(wallet)):
            back = min(amount, lot.points[of])
            self.take([lot], back, of, "free", name)
            self.lose(lot, back, f"expiry/{lot.name}/{name}")
            amount -= back
        self.receive(wallet, amount, name)

    def merge(self, old: str, new: str, name: str) -> None:
        new = self.stands(new)
        require(self.ledger(old) == self.ledger(new), "ledgers_mixed")
        require(old not in self.merged and old != new, "already_merged")
        require(name not in self.transfers, "reference_used")
        self.sweep(old)
        self.sweep(new)
        if self.balance[old]:
            debit, credit = (old, new) if self.balance[old] > 0 else (new, old)
            self.move(debit, credit, abs(self.balance[old]), "merger", name)
        for lot in self.order(old):
            lot.wallet = new
        for hold in self.holds.values():
            hold.wallet = new if hold.wallet == old and hold.state == "open" else hold.wallet
        self.merged |= {account: new for account, heir in self.merged.items() if heir == old} | {old: new}
        self.held[new] += self.held.pop(old, 0)
        self.owe(new, self.debt.pop(old, 0), name)

    def award(
        self,
        name: str,
        rule: tuple[str, int],
        due: int,
        wallet: str,
        subjects: tuple[str, ...] = (),
        cap: tuple[tuple[str, str, str], int] | None = None,
    ) -> int:
        if name in self.tombstones:
            return 0
        require(name not in self.transfers, "reference_used")
        granted = max(0, due if cap is None else min(due, cap[1] - self.caps[cap[0]]))
        self.awards[name] = granted, cap[0] if cap else None
        if cap:
            self.caps[cap[0]] += granted
        if granted:
            wallet = self.stands(wallet)
            issued = "issued" if self.ledger(wallet) == "civic" else "staff-issued"
            self.move(issued, wallet, granted, "award", name, rule=rule, subjects=subjects)
            self.receive(wallet, granted, name)
        return granted

    def withdraw(self, of: str, name: str) -> int:
        """The fact behind an award was withdrawn: what is left of it is taken back, and its cap has room again."""
        if of not in self.awards:
            self.tombstones.add(of)
            return 0
        granted, cap = self.awards.pop(of)
        self.tombstones.add(of)
        if cap:
            self.caps[cap] -= granted
        reversed_ = sum(other.amount for other in self.transfers.values() if other.reverses == of)
        return self.reverse(of, name) if granted > reversed_ else 0

    def board(self, ledger: str, period: str, day: date, subject: str) -> int:
        """Awards less their reversals, by when they were posted; what expired leaves the board of all time alone.

        A family that joined another is that one.
        """
        points = 0
        for name, transfer in self.transfers.items():
            if subject in map(self.stands, transfer.subjects) and self.ledger(transfer.debit) == ledger:
                if period_of(period, transfer.at) == period_of(period, day):
                    points += transfer.amount if transfer.code == "award" else -transfer.amount
                if period == "all" and name in self.lots:
                    places = self.lots[name].points.items()
                    points -= sum(number for place, number in places if place.startswith("expiry/"))
        return points


OURS = ("free", "hold ")
"""How the places are called whose points a lot still has."""


def period_of(period: str, day: date) -> tuple[int, ...]:
    match period:
        case "week":
            return day.isocalendar()[:2]
        case "month":
            return day.year, day.month
        case "quarter":
            return day.year, (day.month + 2) // 3
        case "year":
            return (day.year,)
        case _:
            return ()
