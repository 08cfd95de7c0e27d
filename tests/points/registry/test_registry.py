"""Merchants on record over HTTP: who may register what, and what a suspended merchant, a closed store and a revoked
key are good for at the door.
"""

from datetime import datetime
from typing import Any

import psycopg
import pytest
from psycopg import errors

from chassis.core.ids import new_id
from services.points.merchants.terms import Algorithm
from tests import openssl
from tests.points.merchants.conftest import Key, Market, Till, market, refusal, rsa_keys
from tests.points.registry.conftest import ADMINISTRATOR, AUDITOR, Registry, manager_of, proof_of, serial_of
from tests.points.rewards.conftest import code_of, shop
from tests.town import TestDatabase

__all__ = ["market", "rsa_keys", "shop"]
SIGN_ERROR = (401, "SIGN_ERROR")


async def test_a_merchant_is_registered_once_and_has_a_number_of_ten_digits(registry: Registry) -> None:
    organisation = new_id()
    wanted = {"organisation_id": str(organisation), "name": "半亩书屋"}
    answer = await registry.post("", wanted)
    assert answer.status_code == 201
    merchant = answer.json()
    assert merchant == {"id": str(organisation), "mchid": merchant["mchid"], "name": "半亩书屋", "state": "active"}
    assert len(merchant["mchid"]) == 10
    assert code_of(await registry.post("", wanted)) == "merchant_registered"
    assert (await registry.get(f"/{organisation}", manager_of(organisation))).json() == merchant


async def test_managers_see_and_change_their_own_merchant_alone(registry: Registry) -> None:
    own, others = await registry.merchant(), await registry.merchant()
    manager = manager_of(own)
    assert (await registry.get(f"/{own}", manager)).status_code == 200
    assert (await registry.post(f"/{own}/stores", {"id": "s2", "name": "二店"}, manager)).status_code == 201
    for answer in (
        await registry.get(f"/{others}", manager),
        await registry.get(f"/{others}/stores", manager),
        await registry.get(f"/{others}/keys", manager),
        await registry.get(f"/{others}/events", manager),
        await registry.get(f"/{others}/clerks", manager),
        await registry.post(f"/{others}/stores", {"id": "s2", "name": "二店"}, manager),
        await registry.post(f"/{others}/stores/s1/close", None, manager),
        await registry.post(f"/{others}/clerks", {"store_id": "s1", "name": "小王"}, manager),
        await registry.post(f"/{others}/keys/ABC/revoke", {"reason": "丢失"}, manager),
    ):
        assert (answer.status_code, code_of(answer)) == (404, "merchant_not_found")
    assert (await registry.post(f"/{own}/suspend", {"reason": "x"}, manager)).status_code == 403
    assert (await registry.get(f"/{others}/stores", AUDITOR)).status_code == 200
    assert (await registry.post(f"/{others}/stores", {"id": "s2", "name": "二店"}, AUDITOR)).status_code == 403


async def test_the_list_of_merchants_is_paged_and_searched(registry: Registry) -> None:
    word = new_id().hex[-10:]
    known = [await registry.merchant(name=f"{word}{number}") for number in range(3)]
    await registry.post(f"/{known[1]}/suspend", {"reason": "证照过期"})
    first = (await registry.get("", AUDITOR, q=word, limit=2)).json()
    rest = (await registry.get("", AUDITOR, q=word, limit=2, cursor=first["next_cursor"])).json()
    assert {item["id"] for item in first["items"] + rest["items"]} == {str(merchant) for merchant in known}
    assert rest["next_cursor"] is None
    suspended = (await registry.get("", AUDITOR, q=word, state="suspended")).json()["items"]
    assert [item["id"] for item in suspended] == [str(known[1])]
    wrong = await registry.get("", AUDITOR, q=word, state="suspended", cursor=first["next_cursor"])
    assert code_of(wrong) == "invalid_cursor"
    assert (await registry.get("", AUDITOR, nosuch="1")).status_code == 422


async def test_a_suspended_merchant_and_a_closed_store_redeem_nothing_until_they_are_back(
    registry: Registry, market: Market
) -> None:
    till = await market.till()
    _, coupon = await market.coupon(till)
    for shut, open_again in (
        ((f"/{till.id}/suspend", {"reason": "投诉"}), (f"/{till.id}/resume", {"reason": "已整改"})),
        ((f"/{till.id}/stores/store-1/close", None), (f"/{till.id}/stores/store-1/reopen", None)),
    ):
        assert (await registry.post(*shut)).status_code == 200
        assert refusal(await till.prepare(coupon["code"])) == (403, "NO_AUTH")
        assert refusal(await till.use(coupon["code"])) == (403, "NO_AUTH")
        assert (await registry.post(*open_again)).status_code == 200
        assert (await till.prepare(coupon["code"])).json()["usable"]
    kinds = [event["kind"] for event in (await registry.get(f"/{till.id}/events", AUDITOR)).json()["items"]]
    assert kinds == ["suspended", "resumed", "store_closed", "store_reopened"]


async def test_what_was_changed_says_who_and_why_and_stands(registry: Registry, shared_database: TestDatabase) -> None:
    merchant = await registry.merchant()
    for _ in range(2):  # done again it changes nothing, and so is not noted again
        await registry.post(f"/{merchant}/suspend", {"reason": "证照过期"})
    events = (await registry.get(f"/{merchant}/events", manager_of(merchant))).json()["items"]
    assert [(event["kind"], event["subject"], event["reason"]) for event in events] == [
        ("registered", None, None),
        ("store_added", "s1", None),
        ("suspended", None, "证照过期"),
    ]
    assert {event["actor_id"] for event in events} == {str(ADMINISTRATOR.id)}
    with psycopg.connect(shared_database.url("points"), autocommit=True) as connection:
        for statement in ("UPDATE points.merchant_event SET reason = NULL", "DELETE FROM points.merchant_event"):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement.encode())


async def test_a_store_is_added_once_renamed_and_listed(registry: Registry) -> None:
    merchant = await registry.merchant()
    assert code_of(await registry.post(f"/{merchant}/stores", {"id": "s1", "name": "又一家"})) == "store_exists"
    assert (await registry.patch(f"/{merchant}/stores/s1", {"name": "总店（新）"})).json()["name"] == "总店（新）"
    assert code_of(await registry.patch(f"/{merchant}/stores/s9", {"name": "无"})) == "store_not_found"
    assert (await registry.post(f"/{merchant}/stores", {"id": "../x", "name": "坏"})).status_code == 422
    stores = (await registry.get(f"/{merchant}/stores", AUDITOR)).json()["items"]
    assert stores == [{"id": "s1", "name": "总店（新）", "closed_at": None}]


@pytest.fixture(scope="module")
def ed25519_key() -> Key:
    return Key(*openssl.new_ed25519_key(), Algorithm.ED25519)


async def test_a_merchant_changes_over_to_a_new_key_without_a_pause(
    registry: Registry, market: Market, ed25519_key: Key
) -> None:
    """Two live serial numbers at once; the old one is good until it is revoked, and for nothing from then on."""
    till = await market.till()
    manager = manager_of(till.id)
    new = Till(market, till.id, till.mchid, _named(ed25519_key))
    added = await registry.add_key(till.id, till.mchid, ed25519_key, manager)
    assert added.status_code == 201, added.text
    assert added.json()["serial_no"] == new.key.serial_no
    assert [(await each.call("POST", "/echo")).status_code for each in (till, new)] == [200, 200]
    third = Key(*openssl.new_ed25519_key(), Algorithm.ED25519)
    assert code_of(await registry.add_key(till.id, till.mchid, third, manager)) == "too_many_keys"
    assert (await registry.add_key(till.id, till.mchid, third, manager, sandbox=True)).status_code == 201
    revoked = await registry.post(f"/{till.id}/keys/{till.key.serial_no}/revoke", {"reason": "换钥"}, manager)
    assert revoked.json()["state"] == "revoked"
    assert refusal(await till.send("POST", "/merchant/v1/echo")) == SIGN_ERROR
    assert (await new.call("POST", "/echo")).status_code == 200
    states = {
        key["serial_no"]: key["state"] for key in (await registry.get(f"/{till.id}/keys", manager)).json()["items"]
    }
    assert states == {till.key.serial_no: "revoked", new.key.serial_no: "live", serial_of(third): "live"}
    assert (await registry.get(f"/{till.id}/events", manager)).json()["items"][-1]["reason"] == "换钥"


async def test_a_revoked_key_never_comes_back(registry: Registry, ed25519_key: Key) -> None:
    merchant = await registry.merchant()
    mchid = (await registry.get(f"/{merchant}", AUDITOR)).json()["mchid"]
    serial_no = (await registry.add_key(merchant, mchid, ed25519_key)).json()["serial_no"]
    await registry.post(f"/{merchant}/keys/{serial_no}/revoke", {"reason": "泄露"})
    assert code_of(await registry.add_key(merchant, mchid, ed25519_key)) == "key_known"
    [key] = (await registry.get(f"/{merchant}/keys", AUDITOR)).json()["items"]
    assert key["state"] == "revoked"
    assert code_of(await registry.post(f"/{merchant}/keys/NOSUCH/revoke", {"reason": "泄露"})) == "key_not_found"


async def test_a_key_that_comes_or_goes_is_told_where_the_merchant_is_told_of_its_coupons(
    registry: Registry, ed25519_key: Key
) -> None:
    """Whoever got hold of a manager's account does not put a key of theirs on record unnoticed."""
    merchant = await registry.merchant()
    mchid = (await registry.get(f"/{merchant}", AUDITOR)).json()["mchid"]
    async with registry.points.client(manager_of(merchant)) as client:
        endpoints = "/api/points/webhooks/endpoints"
        wanted = {"merchant_id": str(merchant), "url": "https://shop.example.org/told", "event_types": []}
        endpoint = (await client.post(endpoints, json=wanted)).raise_for_status().json()["id"]
        key = (await registry.add_key(merchant, mchid, ed25519_key, sandbox=True)).json()
        for _ in range(2):
            await registry.post(f"/{merchant}/keys/{key['serial_no']}/revoke", {"reason": "泄露"})
        log = (await client.get(f"{endpoints}/{endpoint}/deliveries")).json()["items"]
        assert [delivery["event_type"] for delivery in log] == ["KEY.REVOKED", "KEY.ADDED"]
        for delivery in log:
            told = (await client.get(f"{endpoints}/{endpoint}/deliveries/{delivery['event_id']}")).json()["resource"]
            assert (told["serial_no"], told["sandbox"]) == (key["serial_no"], True)
            assert datetime.fromisoformat(told["not_after"]) == datetime.fromisoformat(key["not_after"])


async def test_a_key_is_registered_by_whoever_has_its_private_half_alone(
    registry: Registry, ed25519_key: Key, rsa_keys: list[Key]
) -> None:
    """Nobody signs in another's name, nor has another's key taken for theirs."""
    merchant, other = await registry.merchant(), await registry.merchant()
    mchid, others = [(await registry.get(f"/{each}", AUDITOR)).json()["mchid"] for each in (merchant, other)]
    for proof in (
        proof_of(ed25519_key, others),  # made for another merchant
        proof_of(ed25519_key, mchid, sandbox=True),  # for the other kind
        proof_of(rsa_keys[0], mchid),  # by another key
        "AAAA",
        "=",
    ):
        answer = await registry.add_key(merchant, mchid, ed25519_key, proof=proof)
        assert (answer.status_code, code_of(answer)) == (422, "key_proof_wrong"), proof
    assert (await registry.get(f"/{merchant}/keys", AUDITOR)).json()["items"] == []
    assert (await registry.add_key(merchant, mchid, rsa_keys[0])).status_code == 201


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"not_before": "2046-01-01T00:00:00+08:00"}, "body.not_before"),
        ({"not_after": "2020-01-01T00:00:00+08:00"}, "body.not_after"),
        ({"not_after": "2056-01-01T00:00:00+08:00"}, "body.not_after"),
        ({"not_after": "2027-01-01T00:00:00"}, "body.not_after"),
        ({"public_key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}, None),
    ],
    ids=["too far ahead", "over already", "for too long", "no offset", "no key"],
)
async def test_a_key_that_cannot_be_is_refused_by_the_name_of_what_is_wrong(
    registry: Registry, ed25519_key: Key, fields: dict[str, Any], named: str | None
) -> None:
    merchant = await registry.merchant()
    mchid = (await registry.get(f"/{merchant}", AUDITOR)).json()["mchid"]
    answer = await registry.add_key(merchant, mchid, ed25519_key, **fields)
    assert answer.status_code == 422
    assert [error["name"] for error in answer.json()["errors"]] == ([named] if named else [])


def _named(key: Key) -> Key:
    """The key under the serial number that the registry gives it."""
    return Key(key.private, key.public, key.algorithm, serial_of(key))
