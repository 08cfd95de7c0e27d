"""`make simulate`: thousands of long histories, each told to the core and to the model, for as long as one likes.

A round is drawn from its seed alone, so what one round has found comes again with `--seed` (`make simulate SEED=…`).
Ends with 1 where the two disagree, and shows the history, shortened; else it shows how often each kind of command came,
and where rules met, so that one sees what was tried.
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.points.ledger.simulation import Event, Simulation, lines
from tests.points.ledger.tally import Tally

HISTORIES = 100


def round_of(number: int, steps: int, tally: Tally) -> list[Event] | None:
    """One round: histories of up to `steps` rules, drawn from the round's seed. That which ends in a disagreement."""
    told: list[Simulation] = []

    class Round(Simulation):
        def __init__(self) -> None:
            super().__init__(tally)
            told[:] = [self]

    long = settings(
        max_examples=HISTORIES,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(number)(Round), settings=long)
    except Exception:
        return told[0].history
    return None


def shortest(history: list[Event]) -> list[Event]:
    """With nothing left in it that a disagreement can do without: ever smaller pieces are left out."""
    length = len(history)
    while length := length // 2:
        for at in reversed(range(0, len(history), length)):
            shorter = history[:at] + history[at + length :]
            history = shorter if disagreement(shorter) else history
    for at, event in enumerate(history):
        for number in reversed(range(0 if isinstance(event, datetime) else len(event))):
            batch = history[at]
            assert isinstance(batch, list)
            shorter = [*history[:at], batch[:number] + batch[number + 1 :], *history[at + 1 :]]
            history = shorter if disagreement(shorter) else history
    return history


def disagreement(history: Sequence[Event]) -> Exception | None:
    """What a history ends in, told from its beginning."""
    simulation = Simulation()
    try:
        for event in history:
            if isinstance(event, datetime):
                simulation.come_to(event)
            else:
                simulation.tell_words(event)
    except Exception as error:
        return error
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--steps", type=int, default=100, help="rules in a history, at most")
    parser.add_argument("--seed", type=int, help="of the first round")
    chosen = parser.parse_args()
    number = secrets.randbelow(10**9) if chosen.seed is None else chosen.seed
    begun, rounds, tally = monotonic(), 0, Tally()
    while monotonic() - begun < chosen.minutes * 60:
        print(f"seed {number}: {HISTORIES} histories of {chosen.steps} steps …", end=" ", flush=True)
        if history := round_of(number, chosen.steps, tally):
            print("a disagreement!", flush=True)
            history = shortest(history)
            error = disagreement(history)
            print(f"\n{type(error).__name__}: {error}\n", *lines(history), sep="\n")
            print(f"\nAgain: make simulate SEED={number}")
            return 1
        rounds += 1
        number += 1
        spent = timedelta(seconds=round(monotonic() - begun))
        print(f"agree. {rounds * HISTORIES} histories so far, {spent}", flush=True)
    print(f"\n{tally}\nNever happened: {', '.join(tally.starved) or 'nothing of this'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
