"""Clerks of a store: invited by a code that is good once and for a day, and revoked at once."""

import asyncio
from datetime import timedelta

import pytest

from chassis.core import clock
from chassis.core.actor import Actor
from tests.points.conftest import Points
from tests.points.registry.conftest import AUDITOR, Registry, manager_of
from tests.points.rewards.conftest import code_of
from tests.town import actor


def person() -> Actor:
    """Somebody with no post at all."""
    return actor("resident")


async def test_a_manager_invites_somebody_who_works_there_from_then_on(registry: Registry) -> None:
    merchant = await registry.merchant(stores=("s1", "s2"))
    manager, clerk = manager_of(merchant), person()
    assert await registry.stores(clerk) == []
    invitation = await registry.invite(merchant, "s2", manager)
    assert len(invitation["code"]) == 8
    joined = await registry.join(invitation["code"], clerk)
    assert joined.status_code == 200, joined.text
    counter = {
        "merchant_id": str(merchant),
        "merchant_name": "麦垛面包房",
        "store_id": "s2",
        "store_name": "总店",
        "standing": "clerk",
        "suspended": False,
    }
    assert joined.json() == counter
    assert await registry.stores(clerk) == [counter]
    assert [(item["store_id"], item["standing"]) for item in await registry.stores(manager)] == [
        ("s1", "manager"),
        ("s2", "manager"),
    ]
    [listed] = (await registry.get(f"/{merchant}/clerks", manager)).json()["items"]
    assert (listed["name"], listed["state"], listed["person_id"]) == ("小王", "active", str(clerk.id))
    kinds = [event["kind"] for event in (await registry.get(f"/{merchant}/events", manager)).json()["items"]]
    assert kinds[-2:] == ["clerk_invited", "clerk_joined"]


async def test_an_invitation_is_good_once_even_for_two_who_type_it_together(registry: Registry) -> None:
    merchant = await registry.merchant()
    code = (await registry.invite(merchant))["code"]
    people = [person() for _ in range(4)]
    answers = await asyncio.gather(*(registry.join(code, who) for who in people))
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422]
    assert sorted([len(await registry.stores(who)) for who in people]) == [0, 0, 0, 1]


async def test_an_invitation_is_good_for_a_day_and_can_be_made_anew(registry: Registry) -> None:
    merchant = await registry.merchant()
    invitation = await registry.invite(merchant)
    path = f"/{merchant}/clerks/{invitation['clerk']['id']}"
    with clock.frozen(clock.now() + timedelta(hours=24, seconds=1)):
        assert code_of(await registry.join(invitation["code"], person())) == "invitation_wrong"
        assert (await registry.get(f"/{merchant}/clerks", AUDITOR)).json()["items"][0]["state"] == "lapsed"
        again = (await registry.post(f"{path}/invite", None)).json()
        assert code_of(await registry.join(invitation["code"], person())) == "invitation_wrong"
        clerk = person()
        assert (await registry.join(again["code"], clerk)).status_code == 200
        assert code_of(await registry.post(f"{path}/invite", None)) == "clerk_joined"


async def test_who_guesses_codes_is_stopped_and_a_right_one_does_not_help_then(registry: Registry) -> None:
    merchant = await registry.merchant()
    code = (await registry.invite(merchant))["code"]
    guesser = person()
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    at = clock.now().replace(minute=10, second=0, microsecond=0)
    with clock.frozen(at):
        for _ in range(5):
            assert (await registry.join(wrong, guesser)).status_code == 422
        stopped = await registry.join(code, guesser)
        assert (stopped.status_code, code_of(stopped)) == (429, "too_many_invitation_tries")
        assert int(stopped.headers["Retry-After"]) == 50 * 60 + 1
    with clock.frozen(at + timedelta(hours=1)):
        assert (await registry.join(code, guesser)).status_code == 200


async def test_a_wrong_guess_counts_under_an_idempotency_key_too(registry: Registry, points: Points) -> None:
    """Guesses that are repeated under one key are not free."""
    guesser = person()
    headers = {"Idempotency-Key": "guess"}
    with clock.frozen(clock.now()):
        async with points.client(guesser) as client:
            statuses = [
                (await client.post("/api/points/counter/join", json={"code": "00000000"}, headers=headers)).status_code
                for _ in range(6)
            ]
    assert statuses == [422] * 5 + [429]


async def test_a_revoked_clerk_is_out_at_once_and_so_is_an_invitation(registry: Registry) -> None:
    merchant = await registry.merchant()
    clerk = person()
    first, second = await registry.invite(merchant), await registry.invite(merchant)
    await registry.join(first["code"], clerk)
    manager = manager_of(merchant)
    for invitation in (first, second):
        path = f"/{merchant}/clerks/{invitation['clerk']['id']}/revoke"
        assert (await registry.post(path, None, manager)).json()["state"] == "revoked"
        assert (await registry.post(path, None, manager)).json()["state"] == "revoked"
    assert await registry.stores(clerk) == []
    assert code_of(await registry.join(second["code"], person())) == "invitation_wrong"
    # Who was revoked may be invited again.
    assert (await registry.join((await registry.invite(merchant))["code"], clerk)).status_code == 200


async def test_who_works_there_already_leaves_the_code_to_somebody_else(registry: Registry) -> None:
    merchant = await registry.merchant()
    clerk = person()
    await registry.join((await registry.invite(merchant))["code"], clerk)
    code = (await registry.invite(merchant))["code"]
    assert code_of(await registry.join(code, clerk)) == "already_clerk"
    assert (await registry.join(code, person())).status_code == 200


async def test_nobody_is_invited_to_a_closed_store_and_its_clerks_have_no_counter(registry: Registry) -> None:
    merchant = await registry.merchant()
    clerk = person()
    await registry.join((await registry.invite(merchant))["code"], clerk)
    await registry.post(f"/{merchant}/stores/s1/close", None)
    assert await registry.stores(clerk) == []
    refused = await registry.post(f"/{merchant}/clerks", {"store_id": "s1", "name": "小李"})
    assert code_of(refused) == "store_not_found"
    await registry.post(f"/{merchant}/stores/s1/reopen", None)
    assert len(await registry.stores(clerk)) == 1


@pytest.mark.parametrize("code", ["1234567", "123456789", "1234567a", "１２３４５６７８", ""], ids=repr)
async def test_what_is_no_code_is_refused_and_counts_as_no_try(registry: Registry, code: str) -> None:
    answer = await registry.join(code, person())
    assert [error["name"] for error in answer.json()["errors"]] == ["body.code"]


async def test_a_clerks_name_is_sealed_at_rest(registry: Registry, points: Points) -> None:
    merchant = await registry.merchant()
    await registry.invite(merchant)
    async with points.db.transaction() as session:
        driver = await session.connection()
        [(sealed,)] = (
            await driver.exec_driver_sql("SELECT name_sealed FROM merchant_clerk WHERE merchant_id = %s", (merchant,))
        ).all()
    assert "小王".encode() not in bytes(sealed)
