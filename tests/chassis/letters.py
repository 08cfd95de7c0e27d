"""Messages of the sender's as they go over the wire, and what became of them."""

from typing import Any

from sqlalchemy import text

from chassis.core import clock
from chassis.core.ids import new_id
from tests.chassis.toy.town import ToyTown

TAKE = "/internal/messages"


def envelope(words: str = "早上好", **changes: Any) -> dict[str, Any]:
    """A message of the sender's as it goes over the wire."""
    data = {"occurred_at": clock.now().isoformat(), "box": "letters", "number": 1, "words": words, "remark": None}
    return {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": "/sender",
        "type": "sender.note_written.v1",
        "subject": "box/letters",
        "time": clock.now().isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    } | changes


async def send(toys: ToyTown, *batch: dict[str, Any], issuer: str = "sender") -> list[tuple[str, str | None]]:
    """Outcome and reason of each message of a batch that `issuer` sends to the receiver."""
    answer = await toys.runtime(issuer).client.post("receiver", TAKE, list(batch), timeout_seconds=60)
    assert [result["id"] for result in answer["results"]] == [item["id"] for item in batch]
    return [(result["outcome"], result["reason"]) for result in answer["results"]]


async def states(toys: ToyTown) -> list[tuple[str, int]]:
    """State and attempts of every delivery, in the order of publishing."""
    async with toys.db("sender").transaction() as session:
        rows = await session.execute(text("SELECT state, attempts FROM delivery ORDER BY message_sequence"))
        return [(row.state, row.attempts) for row in rows]


async def make_due(toys: ToyTown) -> None:
    """Let the time of waiting be over."""
    async with toys.db("sender").transaction() as session:
        await session.execute(text("UPDATE delivery SET next_attempt_at = now() - interval '1 hour'"))
