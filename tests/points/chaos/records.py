"""What the clients have written down, put together: for each request, what was sent and answered, when."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.points.chaos.asks import Ask
from tests.points.chaos.client import Answer

REUSED = "idempotency_key_reused"


@dataclass
class Told:
    """An answer, and when it came."""

    at: float
    answer: Answer


@dataclass
class Asked:
    """One request with all its sendings."""

    ask: Ask
    sent: list[float] = field(default_factory=list)
    answers: list[Told] = field(default_factory=list)
    lost: int = 0

    @property
    def settled(self) -> list[Told]:
        """The answers that say what became of it."""
        return [told for told in self.answers if told.answer.settles]

    @property
    def unknown(self) -> bool:
        """Nobody has said what became of it, nor that nothing did. (What has no key is sent until it is taken.)"""
        return not self.settled and (self.ask.key is None or not self.nothing_done)

    @property
    def nothing_done(self) -> bool:
        """Each time it was answered, and each time that nothing was changed."""
        said = [told.answer.code for told in self.answers]
        return not self.lost and len(said) == len(self.sent) and set(said) == {"unavailable"}

    @property
    def final(self) -> Answer | None:
        """What became of it: none where nothing did."""
        return self.settled[0].answer if self.settled else None

    @property
    def done(self) -> Any:
        """The body of what was done; None where it was refused or nothing was done."""
        return self.final.body if self.final and self.final.status < 300 else None


@dataclass
class Story:
    """All that was asked for."""

    asked: dict[str, Asked] = field(default_factory=dict)
    looks: list[int] = field(default_factory=list)

    def of(self, *kinds: str) -> Iterator[Asked]:
        """What was asked for of some kinds."""
        return (asked for asked in self.asked.values() if asked.ask.kind in kinds)

    def read(self, path: Path) -> None:
        """Add a client's record."""
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if "ask" in line:
                ask = Ask(**line["ask"])
                self.asked.setdefault(ask.id, Asked(ask))
            elif "sent" in line:
                self.asked[line["sent"]].sent.append(line["at"])
            elif "lost" in line:
                self.asked[line["lost"]].lost += 1
            elif "answered" in line:
                self.asked[line["answered"]].answers.append(Told(line["at"], Answer(**line["answer"])))
            else:
                self.looks.append(line["status"])


def read_story(folder: Path) -> Story:
    """The records of all clients, and of who settled what they left open."""
    story = Story()
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: (path.name.startswith("settling"), path.name)):
        story.read(path)
    return story
