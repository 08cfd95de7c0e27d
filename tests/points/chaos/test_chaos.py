"""Many processes post to few accounts at once while the service is killed, its database is killed, its connections are
cut. Afterwards everything that was acknowledged is there, once, and nothing else is.

`make chaos` lets each storm rage for a minute; SECONDS=… and SEED=… change that. What the clients ask for depends on
the seed; when they are interrupted does not.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.points.chaos import harm
from tests.points.chaos.storm import Storm, seconds, seed
from tests.sturdy import SturdyPostgres
from tests.town import TestDatabase

pytestmark = pytest.mark.timeout(1800 + 4 * seconds(6))


@pytest.fixture
def storm(database: TestDatabase, keys_dir: Path, tmp_path: Path) -> Iterator[Storm]:
    """The service as several processes on a database of its own."""
    yield from raging(database, keys_dir, tmp_path)


@pytest.fixture
def storm_on_sturdy(mortal_database: TestDatabase, keys_dir: Path, tmp_path: Path) -> Iterator[Storm]:
    """The same on a server of its own, which may be killed."""
    yield from raging(mortal_database, keys_dir, tmp_path)


def raging(database: TestDatabase, keys_dir: Path, folder: Path) -> Iterator[Storm]:
    """A storm that begins; its seed is printed."""
    number = seed()
    print(f"SEED={number}")
    storm = Storm(database, keys_dir, folder, number)
    try:
        storm.start()
        yield storm
    finally:
        storm.close()


def judged(storm: Storm) -> Counter[str]:
    """What was answered, how often, once all of it was found to be right."""
    story = storm.judge()
    told = Counter(
        f"{asked.ask.kind} {told.answer.status} {told.answer.code}".strip()
        for asked in story.asked.values()
        for told in asked.answers
    )
    told["lost"] = sum(asked.lost for asked in story.asked.values())
    print(*sorted(told.items()), sep="\n")
    return told


def test_eight_processes_post_to_few_accounts_and_each_point_is_where_it_was_said_to_be(storm: Storm) -> None:
    storm.rage(harm.nothing, (0.1, 0.2), seconds(6))
    told = judged(storm)
    assert told["lost"] == 0
    assert told["transfer 201"]
    assert told["batch 200"]


def test_servers_killed_at_any_moment_lose_nothing_and_double_nothing(storm: Storm) -> None:
    assert storm.rage(harm.killing(storm.servers, storm.rng), (0.2, 1.0), seconds(4))
    judged(storm)


def test_connections_cut_in_the_middle_of_transactions_lose_nothing_and_double_nothing(storm: Storm) -> None:
    assert storm.rage(harm.cutting(storm.database, storm.rng), (0.02, 0.3), seconds(4))
    judged(storm)


def test_postgres_killed_and_started_again_loses_nothing_and_doubles_nothing(
    storm_on_sturdy: Storm, sturdy: SturdyPostgres
) -> None:
    assert storm_on_sturdy.rage(harm.felling(sturdy, storm_on_sturdy.rng), (0.5, 2.0), seconds(4))
    judged(storm_on_sturdy)
