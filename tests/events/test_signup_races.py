"""Many families at once, over real connections: no seat is given twice, none is lost, and the queue is in order."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError

from services.events.signups import queries
from services.events.terms import SignupState
from tests.events.conftest import events_on
from tests.events.service import Events, Family
from tests.town import TestDatabase

FAMILIES, PLACES = 200, 30


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    """The application behind a socket of its own; its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="critical", access_log=False)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()  # serve() would take over the signals of the test run
    loop = asyncio.create_task(server.main_loop())
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await loop
        await server.shutdown()


@asynccontextmanager
async def connected(*addresses: str) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """A client of each address with as many connections as there are families."""
    async with AsyncExitStack() as stack:
        limits = httpx2.Limits(max_connections=FAMILIES, max_keepalive_connections=FAMILIES)
        yield [
            await stack.enter_async_context(
                httpx2.AsyncClient(base_url=address, limits=limits, timeout=300, trust_env=False, verify=False)
            )
            for address in addresses
        ]


async def race(
    events: Events, clients: Sequence[httpx2.AsyncClient], activity_id: str, families: Sequence[Family]
) -> list[httpx2.Response]:
    """All families sign up at once, in turn through each of the clients, every other one with an Idempotency-Key."""

    async def sign_up(number: int, family: Family) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {events.town.token(family.actor)}"}
        if number % 4 > 1:
            headers["Idempotency-Key"] = f"race-{number}"
        body = {"members": [str(member) for member in family.everybody]}
        client = clients[number % len(clients)]
        return await client.post(f"/api/events/activities/{activity_id}/signups", json=body, headers=headers)

    return await asyncio.gather(*[sign_up(number, family) for number, family in enumerate(families)])


async def gather_families(events: Events, count: int, adults: int = 1) -> list[Family]:
    """So many families, of which this service knows every other one."""
    families = [await events.family(adults, told=False) for _ in range(count)]
    await events.tell(*families[::2])
    return families


async def test_of_200_families_racing_for_30_places_30_come_in_and_170_queue_in_order(events: Events) -> None:
    families, activity_id = await gather_families(events, FAMILIES), await events.opened(capacity=PLACES)
    async with served(events.town.apps["events"]) as address, connected(address) as clients:
        answers = await race(events, clients, activity_id, families)
    assert Counter(answer.status_code for answer in answers) == {201: FAMILIES}
    made = [answer.json() for answer in answers]
    assert Counter(one["state"] for one in made) == {"confirmed": PLACES, "waitlisted": FAMILIES - PLACES}
    waiting = [one for one in made if one["state"] == "waitlisted"]
    assert sorted(one["rank"] for one in waiting) == list(range(1, FAMILIES - PLACES + 1))
    assert all(one["ahead"] == one["rank"] - 1 for one in waiting)
    stored = await events.signups(activity_id)
    assert [one.rank for one in stored] == [None] * PLACES + list(range(1, FAMILIES - PLACES + 1))
    shown = await events.show(activity_id)
    assert (shown["taken"], shown["full"], shown["waitlisted"]) == (PLACES, True, FAMILIES - PLACES)
    await events.check_seats(activity_id)


async def test_two_processes_on_one_database_give_no_seat_twice(
    events: Events, events_database: TestDatabase, keys_dir: Path, tmp_path: Path
) -> None:
    families, activity_id = await gather_families(events, 60), await events.opened(capacity=PLACES)
    async with (
        events_on(events_database, keys_dir, tmp_path, identity=events.identity) as (second, _),
        served(events.town.apps["events"]) as one,
        served(second.apps["events"]) as other,
        connected(one, other) as clients,
    ):
        answers = await race(events, clients, activity_id, families)
    assert Counter(answer.status_code for answer in answers) == {201: 60}
    assert Counter(answer.json()["state"] for answer in answers) == {"confirmed": PLACES, "waitlisted": 60 - PLACES}
    assert [one.rank for one in await events.signups(activity_id)] == [None] * PLACES + list(range(1, 61 - PLACES))
    await events.check_seats(activity_id)


async def test_families_of_all_sizes_racing_never_fill_more_than_there_is_room_for(events: Events) -> None:
    families = [await events.family(1 + number % 4) for number in range(60)]
    activity_id = await events.opened(capacity=50)
    async with served(events.town.apps["events"]) as address, connected(address) as clients:
        answers = await race(events, clients, activity_id, families)
    assert {answer.status_code for answer in answers} == {201}
    assert (await events.show(activity_id))["taken"] == 50, "there are enough small families to fill it"
    await events.check_seats(activity_id)


async def test_a_withdrawal_in_the_middle_of_the_race_lets_exactly_one_in(events: Events) -> None:
    activity_id = await events.opened(capacity=5)
    seated = [await events.family() for _ in range(5)]
    held = [await events.sign_up(activity_id, family) for family in seated]
    newcomers = await gather_families(events, 40)
    async with served(events.town.apps["events"]) as address, connected(address) as clients:
        answers, withdrawn = await asyncio.gather(
            race(events, clients, activity_id, newcomers), events.withdraw(held[2], seated[2].actor)
        )
    assert withdrawn.status_code == 200
    assert {answer.status_code for answer in answers} == {201}
    states = Counter(one.state for one in await events.signups(activity_id))
    assert states == {SignupState.WITHDRAWN: 1, SignupState.CONFIRMED: 5, SignupState.WAITLISTED: 39}
    ids = {answer.json()["id"] for answer in answers}
    stored = [one for one in await events.signups(activity_id) if str(one.id) in ids]
    let_in = [one.rank for one in stored if one.state is SignupState.CONFIRMED]
    assert let_in in ([None], [1]), "and it is the first of them, whether it had to wait or not"
    await events.check_seats(activity_id)


async def test_when_all_withdraw_at_once_as_many_come_in(events: Events) -> None:
    activity_id = await events.opened(capacity=12)
    seated = [await events.family() for _ in range(12)]
    held = [await events.sign_up(activity_id, family) for family in seated]
    waiting = [await events.sign_up(activity_id, await events.family()) for _ in range(15)]
    answers = await asyncio.gather(
        *[events.withdraw(signup, family.actor) for signup, family in zip(held, seated, strict=True)]
    )
    assert {answer.status_code for answer in answers} == {200}
    states = [(await events.stored(signup)).state for signup in waiting]
    assert states == [SignupState.CONFIRMED] * 12 + [SignupState.WAITLISTED] * 3
    await events.check_seats(activity_id)


async def test_a_family_that_taps_ten_times_is_signed_up_once(events: Events) -> None:
    family, activity_id = await events.family(2), await events.opened()
    plain = await asyncio.gather(*[events.try_sign_up(activity_id, family) for _ in range(10)])
    assert Counter(answer.status_code for answer in plain) == {201: 1, 409: 9}
    assert {answer.json()["code"] for answer in plain if answer.status_code == 409} == {"already_signed_up"}
    other = await events.family(2)
    keyed = await asyncio.gather(*[events.try_sign_up(activity_id, other, key="tap") for _ in range(10)])
    assert [answer.status_code for answer in keyed] == [201] * 10
    assert len({answer.text for answer in keyed}) == 1
    await events.check_seats(activity_id)


async def test_a_withdrawal_tapped_ten_times_frees_one_seat(events: Events) -> None:
    activity_id, family = await events.opened(capacity=1), await events.family()
    signup = await events.sign_up(activity_id, family)
    for _ in range(3):
        await events.sign_up(activity_id, await events.family())
    answers = await asyncio.gather(*[events.withdraw(signup, family.actor) for _ in range(10)])
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 9}
    await events.check_seats(activity_id)


async def test_a_consent_withdrawn_while_the_child_is_being_signed_up_leaves_it_signed_up_nowhere(
    events: Events,
) -> None:
    for _ in range(15):
        family, activity_id = await events.family(1, True), await events.opened()
        family.withdraw_consent()
        answer, _ = await asyncio.gather(events.try_sign_up(activity_id, family), events.tell(family))
        assert answer.status_code in {201, 422}
        states = {one.state for one in await events.signups(activity_id)}
        assert states <= {SignupState.WITHDRAWN}
        await events.check_seats(activity_id)


async def test_consents_withdrawn_while_others_withdraw_and_sign_up_lose_no_seat(events: Events) -> None:
    first, second = await events.opened(capacity=6), await events.opened(capacity=6)
    families = [await events.family(1, True) for _ in range(12)]
    held = {
        activity_id: [await events.sign_up(activity_id, family) for family in families]
        for activity_id in (first, second)
    }
    newcomers = [await events.family(2) for _ in range(6)]
    for family in families[::2]:
        family.withdraw_consent()

    async def withdraw(activity_id: str, number: int) -> Any:
        return (await events.withdraw(held[activity_id][number], families[number].actor)).status_code

    outcomes = await asyncio.gather(
        events.tell(*families[:8:2]),
        events.tell(*families[8::2]),
        *[withdraw(activity_id, number) for activity_id in (first, second) for number in (1, 5)],
        *[events.sign_up(activity_id, family) for activity_id in (second, first) for family in newcomers],
    )
    assert [one for one in outcomes if isinstance(one, int)] == [200] * 4
    for activity_id in (first, second):
        await events.check_seats(activity_id)
        for signup in held[activity_id][::2]:
            assert (await events.stored(signup)).why == "consent_withdrawn"


async def test_a_sign_up_that_met_a_deadlock_is_tried_again_at_its_turn(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, activity_id = await events.family(), await events.opened()
    real, failures = queries.standing, [psycopg.errors.DeadlockDetected()]

    async def standing(*arguments: Any) -> Any:
        if failures:
            raise OperationalError("", {}, failures.pop())
        return await real(*arguments)

    monkeypatch.setattr(queries, "standing", standing)
    async with asyncio.timeout(60):
        assert (await events.sign_up(activity_id, family))["state"] == "confirmed"
        assert (await events.sign_up(activity_id, await events.family()))["state"] == "confirmed"
    assert failures == []
