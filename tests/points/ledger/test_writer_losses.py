"""The database goes away at the worst moments: what was acknowledged is there, once; what was refused is not."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from beiyuan.migrate import migrate
from chassis.core import db
from chassis.core.db import OutcomeUnknown
from chassis.core.errors import Unavailable
from services.points.ledger.actions import Posting
from tests.chassis.toy.proxy import proxy
from tests.points.ledger.office import all_of, give, key, office_on, wallets
from tests.sturdy import SturdyPostgres, sturdy_postgres
from tests.town import TestDatabase

pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
async def test_a_connection_lost_at_the_commit_costs_nobody_their_points(
    database: TestDatabase, keys_dir: Path, tmp_path: Path, moment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "_OUTCOME_SECONDS", 60)  # a busy machine may take its time to say what became of it
    async with (
        proxy(database.url("points")) as between,
        office_on(between.url, keys_dir, tmp_path) as office,
    ):
        people = wallets(10)
        asked = [(give(wallet, 5), key(f"lost/{wallet.id}")) for wallet in people]
        between.lose = moment
        replies = await asyncio.gather(*(office.ask(*each) for each in asked))
        assert between.losses == 1
        assert {(reply.status, repeated) for reply, repeated in replies} == {(201, False)}
        assert await office.balances(people) == [5] * 10
        assert len(await office.references()) == 10
        await office.check()


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
async def test_an_outcome_that_nobody_can_find_out_is_not_called_a_failure_and_is_there_once(
    database: TestDatabase, keys_dir: Path, tmp_path: Path, moment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "_OUTCOME_SECONDS", 0.5)
    async with (
        proxy(database.url("points")) as between,
        office_on(between.url, keys_dir, tmp_path) as office,
    ):
        people = wallets(5)
        asked = [(give(wallet, 5), key(f"lost/{wallet.id}")) for wallet in people]
        between.lose, between.away = moment, True
        answers = await all_of(*(office.ask(*each) for each in asked))
        assert [type(answer) for answer in answers] == [OutcomeUnknown] * 5
        between.away = False
        replies = await asyncio.gather(*(office.ask(*each) for each in asked))
        assert {(reply.status, repeated) for reply, repeated in replies} == {(201, moment == "after commit")}
        assert await office.balances(people) == [5] * 5
        await office.check()


@pytest.fixture(scope="module")
def sturdy(fast_folder: Path) -> Iterator[SturdyPostgres]:
    """A server that may be killed."""
    with sturdy_postgres(fast_folder / "crashing-ledgers") as server:
        yield server


@pytest.fixture(scope="module")
def sturdy_database(sturdy: SturdyPostgres) -> TestDatabase:
    """A migrated database on it."""
    database = TestDatabase("postgres", sturdy)
    migrate(database.admin_url, database.service_urls)
    return database


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
async def test_a_crash_at_the_commit_loses_nobody_their_points_though_another_has_the_same_transaction_id(
    sturdy_database: TestDatabase,
    sturdy: SturdyPostgres,
    keys_dir: Path,
    tmp_path: Path,
    moment: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(db, "_OUTCOME_SECONDS", 60)  # a busy machine may take its time to say what became of it
    used_again: list[bool] = []

    def crash() -> None:
        xid = sturdy.transaction_under_way() if moment == "before commit" else 0
        sturdy.crash()
        used_again.append(xid > 0 and sturdy.used_again(xid))

    sturdy.hold_log()
    async with (
        proxy(sturdy_database.url("points")) as between,
        office_on(between.url, keys_dir, tmp_path) as office,
    ):
        people = wallets(5)
        asked = [(give(wallet, 5), key(f"crash/{wallet.id}")) for wallet in people]
        between.lose, between.meanwhile = moment, crash
        replies = await asyncio.gather(*(office.ask(*each) for each in asked))
        assert {(reply.status, repeated) for reply, repeated in replies} == {(201, False)}
        assert await office.balances(people) == [5] * 5
        await office.check()
        assert used_again == [moment == "before commit"]


async def test_connections_that_are_cut_all_the_time_lose_nothing_and_double_nothing(
    database: TestDatabase, keys_dir: Path, tmp_path: Path
) -> None:
    async with office_on(database.url("points"), keys_dir, tmp_path) as office:
        others = [office, office.beside(most_a_batch=5)]
        people = wallets(5)
        stop, failures = asyncio.Event(), 0

        async def cut() -> None:
            async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
                while not stop.is_set():
                    await asyncio.sleep(0.01)
                    if failures > 30:  # on a slow machine no batch would ever get through
                        continue
                    await admin.execute(
                        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                        " WHERE usename = 'beiyuan_points' AND datname = current_database()"
                        " AND state <> 'idle' AND random() < 0.5"
                    )

        async def keep_asking(number: int) -> list[str]:
            nonlocal failures
            acknowledged: list[str] = []
            for n in range(15):
                name = f"cut/{number}/{n}"
                command = give(people[n % 5], 3, name)
                while len(acknowledged) == n:
                    [answer] = await all_of(others[number % 2].ask(command, key(name)))
                    if isinstance(answer, BaseException):
                        assert isinstance(answer, Unavailable), answer
                        failures += 1
                        continue
                    assert answer[0].body == name.encode()
                    acknowledged.append(name)
                    failures = 0
            return acknowledged

        cutting = asyncio.create_task(cut())
        lists = await asyncio.gather(*(keep_asking(number) for number in range(12)))
        stop.set()
        await cutting
        acknowledged = Counter(name for names in lists for name in names)
        assert Counter(await office.references()) == acknowledged
        assert sum(await office.balances(people)) == 3 * len(acknowledged) == 3 * 12 * 15
        await office.check()


async def test_without_keys_what_was_acknowledged_is_there_and_what_was_called_busy_is_not(
    database: TestDatabase, keys_dir: Path, tmp_path: Path
) -> None:
    async with office_on(database.url("points"), keys_dir, tmp_path) as office:
        [wallet] = wallets(1)
        commands = [give(wallet, 1, f"busy/{n}") for n in range(60)]

        async def cut_once() -> None:
            async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
                for _ in range(4):
                    await asyncio.sleep(0.01)
                    await admin.execute(
                        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                        " WHERE usename = 'beiyuan_points' AND datname = current_database()"
                    )

        small = office.beside(most_a_batch=4)
        *answers, _ = await all_of(*(small.writer.submit(Posting, command) for command in commands), cut_once())
        done = set(await office.references())
        for command, answer in zip(commands, answers, strict=True):
            if isinstance(answer, OutcomeUnknown):
                continue
            assert (command.reference in done) == (not isinstance(answer, BaseException))
        await office.check()
