"""The ledger against its model, over histories that nobody thought of. `make simulate` goes on for longer."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.points.conftest import Points
from tests.points.ledger.database import DatabaseWorld
from tests.points.ledger.examples import Picture, Step
from tests.points.ledger.simulation import CAST, Simulation, compare

SHORT = settings(max_examples=30, stateful_step_count=40, deadline=None, derandomize=True)
A_FEW = settings(max_examples=6, stateful_step_count=25, deadline=None, derandomize=True, phases=[Phase.generate])


def test_whatever_happens_the_ledger_does_what_its_rules_say() -> None:
    run_state_machine_as_test(Simulation, settings=SHORT)


class Batch(NamedTuple):
    at: datetime
    groups: Sequence[Sequence[Step]]
    outcomes: list[list[int] | str]
    after: Picture


def histories() -> list[list[Batch]]:
    """Some histories, with what the model says of each batch."""
    kept: list[list[Batch]] = []

    class Kept(Simulation):
        def __init__(self) -> None:
            super().__init__()
            kept.append([])

        def tell_steps(self, groups: Sequence[Sequence[Step]]) -> list[list[int] | str]:
            outcomes = super().tell_steps(groups)
            kept[-1].append(Batch(self.now, groups, outcomes, self.model.picture()))
            return outcomes

    run_state_machine_as_test(Kept, settings=A_FEW)
    return kept


def settled(picture: Picture) -> Picture:
    """A lot with nothing left stays with a wallet that is merged, until something comes back to it."""
    lots = {name: lot._replace(wallet=picture.merged.get(lot.wallet, lot.wallet)) for name, lot in picture.lots.items()}
    return replace(picture, lots=lots)


async def test_whatever_happens_the_database_does_what_the_rules_say(empty_ledger: Points) -> None:
    for history in histories():
        async with empty_ledger.db.sessions() as session:
            world = DatabaseWorld(session, CAST)
            for number, batch in enumerate(history, 1):
                world.at(batch.at)
                assert await world.batch(batch.groups) == batch.outcomes
                if number % 5 == 0 or number == len(history):
                    compare(settled(await world.picture()), settled(batch.after))
            await session.rollback()
