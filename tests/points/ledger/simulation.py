"""Histories that nobody thought of: the same steps for the core and the model, which must agree after each of them.

What a step is about is drawn as small numbers, and made into a step when it is its turn: "the third transfer so far",
"some points of the second family". A history that fails is shown in the words of docs/ledger-examples.md.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from chassis.core.beijing import BEIJING
from tests.points.ledger.examples import SYSTEM, Picture, Step, command
from tests.points.ledger.tally import Before, Tally
from tests.points.ledger.worlds import CoreWorld, ModelWorld

FAMILIES = ("Wang", "Li", "Chen", "Zhao", "Wu", "Zhou", "Xu", "Sui")
STAFF = ("Sun", "Qian", "Feng")
CAST = SYSTEM | {
    **dict.fromkeys(FAMILIES, "household"),
    **dict.fromkeys(("Mei", "Bo"), "person"),
    **dict.fromkeys(STAFF, "staff"),
    "Bakery": "merchant",
}
# Most of what happens concerns few, so that it meets.
WALLETS = ("Wang",) * 6 + ("Li",) * 3 + (*FAMILIES, "Sun", *STAFF)
SINKS = ("coupons",) * 10 + ("issued", "Bakery", "paid", "Wang", "Li", "Sun")
CODES = ("redemption", "activity", "adjustment", "use")
HOUR = 60
DAY = 24 * HOUR
LAPSES = (HOUR, HOUR, DAY, DAY, 40 * DAY, 40 * DAY, 400 * DAY, 400 * DAY, 800 * DAY, 800 * DAY, 0)

Idea = tuple[Any, ...]
Event = datetime | list[list[str]]
"""That it is a moment now; or a batch, of groups of steps in the words of docs/ledger-examples.md."""

wallets, families, sinks = st.sampled_from(WALLETS), st.sampled_from(FAMILIES), st.sampled_from(SINKS)
points = st.sampled_from([1, 2, 3, 5, 8, 12] * 3 + [20, 30, 48, 0, -1, 2**53])
some = st.sampled_from([None, None, None, 1, 2, 3, 5, 8, 12, 20, 0])
which = st.sampled_from([0, 0, 1, 1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 99])
capped = st.none() | st.tuples(st.integers(5, 40), st.sampled_from(["a day", "a month", "a year", "in campaign tea"]))
IDEAS: dict[str, tuple[int, st.SearchStrategy[Idea]]] = {
    "award": (14, st.tuples(wallets, points, st.integers(1, 2), capped, st.sampled_from(["Mei", "Bo", "Wang"]))),
    "transfer": (12, st.tuples(st.sampled_from(CODES), wallets, sinks, points)),
    "move": (1, st.tuples(st.sampled_from(CODES), sinks, wallets | sinks, points)),
    "hold": (8, st.tuples(wallets, sinks, points, st.sampled_from(LAPSES))),
    "post": (7, st.tuples(which, some)),
    "void": (2, st.tuples(which)),
    "lapse": (1, st.tuples(which)),
    "expire": (2, st.tuples(which)),
    "reverse": (5, st.tuples(which, some)),
    "give back": (1, st.tuples(which, some)),
    "withdraw": (2, st.tuples(which)),
    "withdraw early": (1, st.tuples()),
    "award late": (1, st.tuples(which, wallets, st.integers(1, 48))),
    "again": (1, st.tuples(which)),
    "merge": (2, st.tuples(families | wallets, wallets)),
}
"""What may come to somebody's mind, and how often."""

ideas = st.sampled_from([verb for verb, (weight, _) in IDEAS.items() for _ in range(weight)]).flatmap(
    lambda verb: st.tuples(st.just(verb), IDEAS[verb][1])
)


LATE = ("give back",) * 4 + ("reverse", "reverse", "withdraw", "void", "post", "transfer")
late_ideas = st.sampled_from(LATE).flatmap(lambda verb: st.tuples(st.just(verb), IDEAS[verb][1]))


class Difference(AssertionError):
    """The core and the model disagree."""


class Simulation(RuleBasedStateMachine):
    """One history. `tally`: in which it counts."""

    def __init__(self, tally: Tally | None = None) -> None:
        super().__init__()
        self.tally = tally or Tally()
        self.model, self.core = ModelWorld(CAST), CoreWorld(CAST)
        self.now = datetime(2026, 11, 23, 9, tzinfo=BEIJING)
        self.history: list[Event] = []
        self.said: list[str] = []
        self.early: list[str] = []
        self.number = 0

    @initialize(due=st.lists(st.integers(1, 48), min_size=1, max_size=4))
    def begin(self, due: list[int]) -> None:
        self.come_to(self.now)
        for number, amount in enumerate(due):
            self.tell([[("award", (FAMILIES[number % 2], amount, 1, None, "Mei"))]])

    @rule(idea=ideas)
    def one(self, idea: Idea) -> None:
        """A step by itself."""
        self.tell([[idea]])

    @rule(first=ideas, then=ideas)
    def two(self, first: Idea, then: Idea) -> None:
        """One step after another."""
        self.tell([[first]])
        self.tell([[then]])

    @rule(groups=st.lists(st.lists(ideas, min_size=1, max_size=3), min_size=1, max_size=4))
    def batch(self, groups: list[list[Idea]]) -> None:
        """Several in one batch, some of them linked."""
        self.tell(groups)

    @rule(
        minutes=st.sampled_from([1, HOUR, HOUR, HOUR, DAY, DAY, 40 * DAY, None]), seconds=st.sampled_from([-1, 0, 3600])
    )
    def wait(self, minutes: int | None, seconds: int) -> None:
        """Time goes on; without a number until lots expire, or just not yet."""
        new_year = datetime((self.now + timedelta(seconds=1)).year + 1, 1, 1, tzinfo=BEIJING)
        self.come_to(
            new_year + timedelta(seconds=seconds) if minutes is None else self.now + timedelta(minutes=minutes)
        )

    @rule(idea=late_ideas)
    def too_late(self, idea: Idea) -> None:
        """Time goes on until the first lot expires of which something is away, and then that comes back, or what is
        there is spent.
        """
        lots = self.model.model.lots.values()
        ahead = [lot.until for lot in lots if lot.until > self.now and lot.points.total() > lot.points["free"]]
        if ahead:
            self.come_to(min(ahead))
        self.tell([[idea]])

    @rule()
    def clear_away(self) -> None:
        """The runs that look for lapsed holds and expired lots come."""
        model = self.model.model
        due = [f"lapse {name}" for name, hold in model.holds.items() if hold.state == "open"]
        due += [f"expire {name}" for name, lot in model.lots.items() if lot.points["free"]]
        self.tell_words([[words] for words in due])

    def come_to(self, moment: datetime) -> None:
        self.now = moment
        self.history.append(moment)
        self.model.at(moment)
        self.core.at(moment)

    def tell(self, groups: Sequence[Sequence[Idea]]) -> None:
        """Groups of ideas become steps, all in one batch."""
        self.tell_words([[self.words(idea) for idea in group] for group in groups])

    def tell_words(self, groups: Sequence[Sequence[str]]) -> None:
        self.history.append([list(group) for group in groups])
        self.said += [words for group in groups for words in group]
        self.tell_steps([[command(words, self.now) for words in group] for group in groups])

    def tell_steps(self, groups: Sequence[Sequence[Step]]) -> list[list[int] | str]:
        """A batch in both worlds; what became of each group."""
        expected = [self.expected(group) for group in groups]
        try:
            answers = self.core.batch(groups)
            if answers != expected:
                raise Difference(f"the core answers {answers}, the model {expected}")
            compare(self.core.picture(), self.model.picture())
        except Exception as error:
            error.add_note("\n".join(["The history:", *lines(self.history)]))
            raise
        return answers

    def expected(self, group: Sequence[Step]) -> list[int] | str:
        """What the model says of a group of steps."""
        before = Before(self.model.model)
        outcome = self.model.do(group)
        self.tally.note(before, self.model.model, group, outcome)
        return outcome

    def words(self, idea: Idea) -> str:
        """What an idea comes to now, in a line of the page's language."""
        model = self.model.model
        self.number += 1
        new = f"N{self.number}"
        if idea[0] in ("post", "void") and not self.closable() and idea[1][0] < 8:
            idea = ("hold", ("Wang", "coupons", 5, DAY))
        if idea[0] in ("reverse", "give back") and not +self.left() and idea[1][0] < 8:
            idea = ("award", ("Wang", 24, 1, None, "Mei"))
        match idea:
            case ("award", (owner, due, version, cap, holder)):
                limit = f" cap {cap[0]} {cap[1]} of {holder}" if cap else ""
                return f"award {new} volunteer.hour@{version} {min(max(due, 0), 100)} to {owner} for {holder}{limit}"
            case ("transfer", (code, debit, credit, amount)):
                debit, credit, amount = self.payment(debit, credit, amount)
                return f"{code} {new} {amount} from {debit} to {credit}"
            case ("move", (code, debit, credit, amount)):
                return f"{code} {new} {amount} from {debit} to {credit}"
            case ("hold", (owner, credit, amount, minutes)):
                owner, credit, amount = self.payment(owner, credit, amount)
                until = self.now + timedelta(minutes=minutes)
                return f"hold {new} {amount} of {owner} for {credit} until {until:%Y-%m-%d %H:%M:%S}"
            case ("post", (index, amount)):
                name = pick(self.closable() or list(model.holds), index)
                return f"post {name}{part(amount, model.holds[name].amount if name in model.holds else 0)}"
            case ("void", (index,)):
                return f"void {pick(self.closable() or list(model.holds), index)}"
            case ("lapse", (index,)):
                return f"lapse {pick(list(model.holds), index)}"
            case ("expire", (index,)):
                return f"expire {pick(list(model.lots), index)}"
            case ("reverse", (index, amount)):
                name = pick(self.reversible(), index)
                return f"reverse {name}{part(amount, self.left()[name])} as {new}"
            case ("give back", (index, amount)):
                name = pick(self.late() or self.reversible(), index)
                return f"reverse {name}{part(amount, self.left()[name])} as {new}"
            case ("withdraw", (index,)):
                return f"withdraw {pick(list(model.awards), index)} as {new}"
            case ("withdraw early", ()):
                self.early.append(f"F{self.number}")
                return f"withdraw {self.early[-1]} as {new}"
            case ("award late", (index, owner, due)):
                return f"award {pick(self.early, index)} volunteer.hour {due} to {owner} for Mei"
            case ("merge", (old, heir)):
                if old not in STAFF and not model.held[old]:
                    old = next((name for name in FAMILIES if model.debt[name]), old)
                kin = STAFF if old in STAFF else FAMILIES
                there = [name for name in kin if name not in model.merged and name != old]
                return f"merge {old} into {heir if heir in there or not there else there[0]} as {new}"
            case ("again", (index,)):
                return pick(self.said, index) if self.said and index != 99 else f"void {new}"
            case _:
                raise ValueError(idea)

    def closable(self) -> list[str]:
        """Open holds whose time is not over."""
        holds = self.model.model.holds.items()
        return [name for name, hold in holds if hold.state == "open" and hold.lapses > self.now]

    def payment(self, debit: str, credit: str, amount: int) -> tuple[str, str, int]:
        """Somebody who has points pays, within their ledger; a small amount, or what is left of it. Most of what people
        ask for is there.
        """
        if debit in STAFF:
            credit = "staff-issued" if credit == "coupons" else credit
        elif not self.available(debit):
            debit = max(FAMILIES, key=self.available)
        available = self.available(debit)
        return debit, credit, min(amount, available) if 0 < amount < 20 and available > 0 else amount

    def available(self, wallet: str) -> int:
        """What the one who stands for it can spend."""
        model = self.model.model
        account = model.stands(wallet)
        return model.balance[account] - model.held[account]

    def left(self) -> Counter[str]:
        """Of each transfer that may be taken back, how much of it may still."""
        transfers = self.model.model.transfers
        final = ("reversal", "expiry", "merger")
        left = Counter({name: row.amount for name, row in transfers.items() if row.code not in final})
        for row in transfers.values():
            if row.reverses:
                left[row.reverses] -= row.amount
        return left

    def reversible(self) -> list[str]:
        """Transfers of which something may be taken back, and before them the latest one, whatever it is."""
        return [*list(self.model.model.transfers)[-1:], *+self.left()]

    def late(self) -> list[str]:
        """Spends that would come back to a lot after its expiry."""
        model = self.model.model
        over = [lot for lot in model.lots.values() if lot.until <= self.now]
        return [name for name in self.reversible() if any(lot.points[name] for lot in over)]


def lines(history: Sequence[Event]) -> Iterator[str]:
    """A history as docs/ledger-examples.md would have it."""
    for event in history:
        if isinstance(event, datetime):
            yield f"at {event:%Y-%m-%d %H:%M:%S}"
            continue
        if len(event) > 1:
            yield f"# {len(event)} in one batch"
        for group in event:
            yield from ["linked", *group, "end"] if len(group) > 1 else group


def pick(known: Sequence[str], index: int) -> str:
    """One of those known, counted from the latest; for 99 a name that nobody has."""
    return known[-1 - index % len(known)] if known and index != 99 else "nothing"


def part(amount: int | None, whole: int) -> str:
    """So much of it; a small amount is never more than there is."""
    if amount is None:
        return ""
    return f" {min(amount, whole) if whole > 0 and amount < 12 else amount}"


def compare(core: Picture, model: Picture) -> None:
    """The same accounts, lots, holds, transfers, allocations and caps."""
    for name in vars(model):
        ours, theirs = getattr(core, name), getattr(model, name)
        if ours != theirs:
            raise Difference(f"{name}: in the core {ours}, in the model {theirs}")
