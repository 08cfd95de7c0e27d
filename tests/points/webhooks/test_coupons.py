"""From a till to the merchant's own server: what happens to coupons is told, once, and nothing that did not happen."""

import json
from typing import Any

import pytest

from tests.points.merchants.conftest import Key, Market, market_of
from tests.points.webhooks.conftest import Merchant, PostOffice
from tests.receiver import Receiver


@pytest.fixture
async def market(office: PostOffice, rsa_key: Key) -> Market:
    return await market_of(office.points, rsa_key)


def told(receiver: Receiver) -> list[tuple[str, dict[str, Any]]]:
    found = [json.loads(request.body) for request in receiver.received]
    return [(each["event_type"], each["resource"]) for each in found]


async def test_a_use_and_its_return_are_told_once_each_with_nothing_of_whose_coupon_it_is(
    office: PostOffice, market: Market, receiver: Receiver
) -> None:
    till = await market.till()
    await Merchant(office, till.id).endpoint(receiver.url())
    family, coupon = await market.coupon(till)
    body = till.body(coupon["code"])
    used = await till.call("POST", "/coupons/use", body)
    again = await till.call("POST", "/coupons/use", body)
    refused = await till.use(coupon["code"])
    assert [used.status_code, again.status_code, refused.status_code] == [200, 200, 409]
    await office.send()
    [(kind, resource)] = told(receiver)
    assert (kind, resource["coupon_id"], resource["state"]) == ("COUPON.USED", coupon["id"], "USED")
    assert resource["use_no"] == used.json()["use_no"]
    assert resource["out_request_no"] == body["out_request_no"]
    wanted = {"coupon_id": coupon["id"], "use_no": resource["use_no"], "store_id": till.store_id}
    returned = await till.call("POST", "/coupons/return", wanted | {"out_request_no": "B" + body["out_request_no"]})
    assert returned.status_code == 200, returned.text
    await office.send()
    [_, (kind, resource)] = told(receiver)
    assert (kind, resource["use_no"], resource["state"]) == ("COUPON.RETURNED", wanted["use_no"], "EFFECTIVE")
    for request in receiver.received:
        assert str(family.id).encode() not in request.body
        assert str(family.person_id).encode() not in request.body
