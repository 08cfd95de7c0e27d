"""What is refused at the door is counted by its code: an operator sees what keeps merchants from working."""

from datetime import timedelta

from chassis.core import clock
from tests.points.conftest import Points
from tests.points.merchants.conftest import ECHO, Till


async def refusals(points: Points, code: str) -> float:
    """How many requests were refused for this until now."""
    async with points.client(None) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    start = f'beiyuan_merchant_refusals_total{{code="{code}",service="points"}} '
    return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


async def test_refusals_of_the_door_and_of_what_lies_behind_it_are_counted_by_their_codes(
    points: Points, till: Till
) -> None:
    codes = ("TIMESTAMP_EXPIRED", "COUPON_NOT_FOUND", "NOT_FOUND")
    before = [await refusals(points, code) for code in codes]
    assert (await till.call("POST", "/echo")).status_code == 200
    await till.send("POST", ECHO, at=clock.now() - timedelta(minutes=6))
    for _ in range(2):
        assert (await till.call("GET", "/coupons/12345678901234")).status_code == 404
    assert (await till.call("GET", "/nowhere")).status_code == 404
    after = [await refusals(points, code) for code in codes]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 2, 1]
