"""Every measurement in turn, written down in bench/RESULTS.md: `make bench`, a quarter of an hour at most."""

import io
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

from beiyuan.postgres import find_binaries
from bench import awards, flash, gateway, history, messages, transfers
from bench.results import HEAD, Figure
from chassis.core import clock

RESULTS = Path(__file__).parent / "RESULTS.md"

LEDGER: dict[str, Callable[[], Iterator[Figure]]] = {
    "transfers": lambda: transfers.measure(3),
    "awards": lambda: awards.measure(10_000),
    "flash": lambda: flash.measure(5_000),
    "history": lambda: history.measure(10_000_000, 2),
}


def machine() -> str:
    """What it was measured on, without a word of where that is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return (
        f"{platform.system()}, {platform.machine()}, {os.cpu_count()} processors, {memory} GiB of memory,"
        f" Python {platform.python_version()}, PostgreSQL {find_binaries()[0].major}; load before:"
        f" {os.getloadavg()[0]:.1f}"
    )


def printed(main: Callable[[], None]) -> str:
    """What a measurement that prints its own lines says."""
    sys.argv = sys.argv[:1]
    with redirect_stdout(io.StringIO()) as told:
        main()
    return told.getvalue()


def main() -> None:
    """Measure everything and write it down."""
    started = time.monotonic()
    lines = [
        "# What was measured",
        "",
        "Made by `make bench`. Machines differ and are noisy, and here server, database and load share one: the ratios"
        " count, each against a floor of the same run.",
        "",
        f"{clock.now():%Y-%m-%d}. {machine()}.",
        "",
        "## The ledger",
        "",
        HEAD,
    ]
    for name, measure in LEDGER.items():
        print(f"{name} …", flush=True)
        for figure in measure():
            print(figure, flush=True)
            lines.append(figure.row())
    for title, run in (("The gateway", gateway.main), ("Messages between services", messages.main)):
        print(f"{title} …", flush=True)
        told = printed(run)
        print(told, flush=True)
        lines += ["", f"## {title}", "", "```", *told.splitlines(), "```"]
    lines += ["", f"Measured in {(time.monotonic() - started) / 60:.0f} minutes."]
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
