"""How a measurement is told: beside its floor, in the same run, with what was wanted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the results. The ratio is what counts: the rest belongs to the machine.

    `spread` is the smallest and the largest ratio of the rounds. Where there is no floor, ratio and spread are None.
    """

    what: str
    measured: float
    unit: str
    wanted: str
    reached: bool
    floor: str = ""
    floor_measured: float | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None

    def __str__(self) -> str:
        beside = f" = {self.ratio:.2f} of {self.floor} ({self.floor_measured:,.0f})" if self.ratio is not None else ""
        between = f", {self.spread[0]:.2f} to {self.spread[1]:.2f}" if self.spread else ""
        mark = "✓" if self.reached else "✗"
        return f"{mark} {self.what}: {self.measured:,.1f} {self.unit}{beside}{between} ({self.wanted})"

    def row(self) -> str:
        """The same as a row of a Markdown table."""
        floor = f"{self.floor}: {self.floor_measured:,.0f}" if self.floor_measured is not None else "–"
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else "–"
        between = f"{self.spread[0]:.2f}–{self.spread[1]:.2f}" if self.spread else "–"
        reached = "yes" if self.reached else "**no**"
        measured = f"{self.measured:,.1f} {self.unit}"
        return f"| {' | '.join([self.what, measured, floor, ratio, between, self.wanted, reached])} |"


HEAD = (
    "| what | measured (median) | floor in the same run | ratio | smallest–largest | wanted | reached |\n"
    "|---|---|---|---|---|---|---|"
)
