"""`make simulate`: thousands of long histories, each told to the core and to the model, for as long as one likes.

A round is drawn from its seed alone, so what one round has found comes again with `--seed` (`make simulate SEED=…`).
Ends with 1 where the two disagree, and shows the shortest history that it could find.
"""

import argparse
import secrets
import sys
from datetime import timedelta
from time import monotonic

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.points.ledger.simulation import Simulation

HISTORIES = 100


def round_of(number: int, steps: int) -> type[Simulation]:
    """One round: histories of up to `steps` rules, drawn from the round's seed. Returns the machine it was."""
    machine = type("Round", (Simulation,), {})
    long = settings(
        max_examples=HISTORIES,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(machine), settings=long)
    return machine


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--steps", type=int, default=100, help="rules in a history, at most")
    parser.add_argument("--seed", type=int, help="of the first round")
    chosen = parser.parse_args()
    number = secrets.randbelow(10**9) if chosen.seed is None else chosen.seed
    begun, rounds = monotonic(), 0
    while monotonic() - begun < chosen.minutes * 60:
        print(f"seed {number}: {HISTORIES} histories of {chosen.steps} steps …", end=" ", flush=True)
        try:
            round_of(number, chosen.steps)
        except BaseException as difference:
            print("a difference!\n")
            print(f"{type(difference).__name__}: {difference}", *getattr(difference, "__notes__", []), sep="\n")
            print(f"\nAgain: make simulate SEED={number}")
            if isinstance(difference, Exception):
                return 1
            raise
        rounds += 1
        number += 1
        spent = timedelta(seconds=round(monotonic() - begun))
        print(f"agree. {rounds * HISTORIES} histories so far, {spent}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
