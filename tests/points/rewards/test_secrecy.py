"""What opens a coupon is nowhere in the clear: whoever reads the whole database can use none."""

import base64

import psycopg

from chassis.core import clock
from services.points.coupons import rules
from tests.points.conftest import Points
from tests.points.rewards.conftest import Merchant, Shop


def dump(points: Points) -> str:
    """Every row of every table of the service, as text."""
    with psycopg.connect(points.town.database.url("points"), options="-c search_path=points") as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'points' ORDER BY 1"
        ).fetchall()
        rows = [
            str(row[0])
            for (table,) in tables
            for row in connection.execute(
                psycopg.sql.SQL("SELECT t::text FROM {} AS t").format(psycopg.sql.Identifier(table))
            )
        ]
    return "\n".join(rows)


async def test_no_secret_and_no_code_lies_in_the_database_in_the_clear(own_points: Points) -> None:
    shop, merchant = Shop(own_points), Merchant()
    reward, family = await shop.reward(merchant), await shop.household(36)
    coupons = [await shop.coupon(family, reward) for _ in range(3)]
    await shop.use(merchant, coupons[0]["code"])
    text = dump(own_points).lower()
    assert coupons[0]["id"] in text
    for coupon in coupons:
        secret = await shop.secret(coupon["id"])
        assert rules.code(coupon["id"], secret, clock.now())[:14] == coupon["id"]
        hidden = [secret.hex(), secret.hex().encode().hex(), base64.b64encode(secret).decode(), coupon["code"]]
        hidden.append(coupon["code"].encode().hex())
        assert [value for value in hidden if value.lower() in text] == []


async def test_a_secret_opens_for_its_own_coupon_alone(shop: Shop) -> None:
    reward, family = await shop.reward(), await shop.household(24)
    secrets = {await shop.secret((await shop.coupon(family, reward))["id"]) for _ in range(2)}
    assert len(secrets) == 2
    assert {len(secret) for secret in secrets} == {20}


async def test_a_sealed_secret_that_is_moved_to_another_coupon_does_not_open(own_points: Points) -> None:
    shop, merchant = Shop(own_points), Merchant()
    reward, family = await shop.reward(merchant), await shop.household(24)
    mine, yours = [await shop.coupon(family, reward) for _ in range(2)]
    with psycopg.connect(own_points.town.database.url("points"), options="-c search_path=points") as connection:
        connection.execute(
            "UPDATE coupon SET secret_sealed = (SELECT secret_sealed FROM coupon WHERE id = %s) WHERE id = %s",
            [mine["id"], yours["id"]],
        )
    async with own_points.client(family.actor) as client:
        assert (await client.get(f"/api/points/coupons/{yours['id']}")).status_code == 500
    assert (await shop.show(family, mine["id"])).status_code == 200
