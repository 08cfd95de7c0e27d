"""What a check has found."""

from collections import Counter

_SHOWN = 50


class Report:
    """What was checked and what is wrong, in words. It is bounded, however much is wrong."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.unshown = 0
        self._passed: list[str] = []
        self._counted: Counter[str] = Counter()

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def checked(self) -> list[str]:
        """What was looked at."""
        return [*self._passed, *(f"{count} {what}" for what, count in self._counted.items())]

    def problem(self, text: str) -> None:
        """Something is wrong."""
        if len(self.problems) < _SHOWN:
            self.problems.append(text)
        else:
            self.unshown += 1

    def passed(self, text: str) -> None:
        """Something was looked at."""
        self._passed.append(text)

    def count(self, what: str) -> None:
        """One more of these was looked at."""
        self._counted[what] += 1

    def lines(self) -> list[str]:
        """All of it, for people to read."""
        wrong = [f"WRONG: {problem}" for problem in self.problems]
        if self.unshown:
            wrong.append(f"WRONG: {self.unshown} more of the kind")
        return [*self.checked, *wrong, "All of it is as it was signed." if self.good else "This does not stand."]
