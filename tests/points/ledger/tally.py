"""How often what has happened over many histories, so that one sees that nothing is starved."""

from collections import Counter
from collections.abc import Sequence

from tests.points.ledger.examples import COMMANDS, Step
from tests.points.ledger.model import Model

CROSSINGS = (
    "a lot expires",
    "a hold comes back too late",
    "a spend comes back too late",
    "an expiry is taken back",
    "a debt is made",
    "a debt is paid",
    "a cap cuts an award",
    "a fact comes after its withdrawal",
    "a merged family is posted to",
    "a merger brings lots",
    "a merger brings a hold",
    "a merger brings a debt",
    "a merger is of staff",
    "a group succeeds",
)
"""Where rules meet one another."""


class Tally:
    """Of each kind of command, how often it succeeded and was refused; and how often rules crossed."""

    def __init__(self) -> None:
        self.done, self.refused = Counter[str](), Counter[str]()
        self.crossings, self.refusals = Counter[str](), Counter[str]()

    def note(self, before: "Before", model: Model, steps: Sequence[Step], outcome: list[int] | str) -> None:
        """What became of a group of steps."""
        if isinstance(outcome, str):
            self.refused.update(step.verb for step in steps)
            self.refusals[outcome] += 1
            return
        self.done.update(step.verb for step in steps)
        self.crossings.update(before.crossings(model, steps, outcome))

    @property
    def starved(self) -> list[str]:
        """What never happened."""
        return [verb for verb in COMMANDS if not self.done[verb]] + [
            crossing for crossing in CROSSINGS if not self.crossings[crossing]
        ]

    def __str__(self) -> str:
        verbs = [f"{verb:>9} {self.done[verb]:>7} done {self.refused[verb]:>7} refused" for verb in COMMANDS]
        crossings = [f"{self.crossings[crossing]:>7} × {crossing}" for crossing in CROSSINGS]
        refusals = [f"{number:>7} × {code}" for code, number in sorted(self.refusals.items())]
        return "\n".join(["Commands", *verbs, "Where rules meet", *crossings, "Refusals", *refusals])


class Before:
    """The model before a group of steps, as far as it is of interest afterwards."""

    def __init__(self, model: Model) -> None:
        self.transfers, self.debt = set(model.transfers), sum(model.debt.values())
        self.merged, self.tombstones = set(model.merged), set(model.tombstones)
        self.held, self.owing = +model.held, +model.debt

    def crossings(self, model: Model, steps: Sequence[Step], outcome: list[int]) -> Counter[str]:
        """How often rules crossed since."""
        found = Counter[str]()
        for name in model.transfers.keys() - self.transfers:
            found[crossing_of(name, model)] += 1
        owed = sum(model.debt.values()) - self.debt
        found["a debt is made"] += owed > 0
        found["a debt is paid"] += owed < 0
        found["a group succeeds"] += len(steps) > 1
        for step, points in zip(steps, outcome, strict=True):
            if step.verb == "award":
                found["a cap cuts an award"] += points < step.args["due"]
                found["a fact comes after its withdrawal"] += step.args["name"] in self.tombstones
            if step.verb == "merge":
                old, name = step.args["old"], step.args["name"]
                found["a merger brings a hold"] += old in self.held
                found["a merger brings a debt"] += old in self.owing
                found["a merger brings lots"] += model.kinds[old] == "household" and name in model.transfers
                found["a merger is of staff"] += model.kinds[old] == "staff"
            elif not self.merged.isdisjoint(map(str, step.args.values())):
                found["a merged family is posted to"] += 1
        return found


def crossing_of(name: str, model: Model) -> str:
    """The crossing that a transfer is a sign of, by its name."""
    match name.split("/"):
        case ["expiry", _]:
            return "a lot expires"
        case ["expiry", *_, cause]:
            return f"a {'hold' if cause in model.holds else 'spend'} comes back too late"
        case [*_, "expiry", _]:
            return "an expiry is taken back"
        case _:
            return "a transfer"
