"""After the storm: whoever does not know what became of a request asks again, and some who do know ask again, too."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from tests.points.chaos.asks import Ask
from tests.points.chaos.client import Client, Record
from tests.points.chaos.records import read_story
from tests.points.chaos.world import World

AT_ONCE = 16
PATIENCE = 60
CURIOUS = 250
"""How many ask again that know."""


async def settle(world: World, folder: Path) -> None:
    """Ask until everything is settled, in an order of chance."""
    rng = random.Random(f"{world.seed}/settling")
    story = read_story(folder)
    unknown = [asked.ask for asked in story.asked.values() if asked.unknown]
    known = [asked.ask for asked in story.asked.values() if asked.settled]
    asks = unknown + rng.sample(known, min(CURIOUS, len(known)))
    rng.shuffle(asks)
    client = Client(world, Record(folder / "settling.jsonl"), rng)
    try:
        await asyncio.gather(*[_ask(client, asks[number::AT_ONCE]) for number in range(AT_ONCE)])
    finally:
        await client.close()


async def _ask(client: Client, asks: Sequence[Ask]) -> None:
    for ask in asks:
        for _ in range(PATIENCE):
            answer = await client.send(ask)
            if answer is not None and answer.settles:
                break
            await asyncio.sleep(0.3)
        else:
            raise AssertionError(f"nobody says what became of {ask}")
