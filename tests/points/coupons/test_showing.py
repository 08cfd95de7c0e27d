"""What a family holds up at a till: twenty digits, or the same as a QR code, for those of them who may."""

from datetime import UTC, datetime
from uuid import UUID
from xml.etree import ElementTree

import httpx2

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.points.coupons import rules
from tests.points.coupons.conftest import Desk, Till
from tests.points.coupons.qr import digits_of
from tests.points.facts import Family
from tests.points.rewards.conftest import Household, code_of
from tests.town import actor

NOON = datetime(2026, 3, 2, 4, 0, 10, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


async def get(desk: Desk, who: Actor, path: str) -> httpx2.Response:
    """What somebody is answered who asks for a coupon, or something of it."""
    async with desk.points.client(who) as client:
        return await client.get(f"/api/points/coupons/{path}")


async def test_the_code_is_shown_in_fours_and_is_the_one_that_a_till_takes(desk: Desk, till: Till) -> None:
    with clock.frozen(NOON):
        family, coupon = await desk.issued(till)
        shown = (await get(desk, family.actor, f"{coupon}/code")).json()
        assert shown["expires_at"] == "2026-03-02T04:00:30Z"
        assert [len(part) for part in shown["digits"].split(" ")] == [4] * 5
        assert shown["digits"].replace(" ", "") == shown["code"] == (await desk.show(family, coupon)).json()["code"]
        await desk.take(till, coupon, otp=rules.read_code(shown["code"])[1])
        assert code_of(await get(desk, family.actor, f"{coupon}/code")) == "coupon_used"


async def test_the_qr_code_says_the_same_and_is_kept_by_nobody(desk: Desk, till: Till) -> None:
    with clock.frozen(NOON):
        family, coupon = await desk.issued(till)
        code = (await get(desk, family.actor, f"{coupon}/code")).json()["code"]
        answer = await get(desk, family.actor, f"{coupon}/code.svg")
    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["Cache-Control"] == "private, no-store"
    root = ElementTree.fromstring(answer.content)
    assert root.tag == f"{SVG}svg"
    assert digits_of(root.findall(f".//{SVG}path")[-1].attrib["d"]) == code
    assert "viewBox" in root.attrib
    assert "width" not in root.attrib, "it fills what it is put in"


async def test_a_household_that_is_not_theirs_gets_no_code(desk: Desk, till: Till) -> None:
    _, coupon = await desk.issued(till)
    stranger = await desk.household()
    for path in (coupon, f"{coupon}/code", f"{coupon}/code.svg", f"{coupon}/history"):
        refused = await get(desk, stranger.actor, path)
        assert refused.status_code == (403 if path.endswith("history") else 404)


async def test_every_adult_of_the_family_may_show_a_coupon_that_one_of_them_redeemed(desk: Desk, till: Till) -> None:
    family, coupon = await desk.issued(till)
    other = actor("resident", household_id=family.id)
    await desk.points.tell(Family(id=family.id).changed(1, family.person_id, other.id))
    assert len((await get(desk, other, f"{coupon}/code")).json()["code"]) == 20


async def redeemed_for(desk: Desk, till: Till, child: UUID) -> tuple[Household, str]:
    """A family with a child, and a coupon that a parent redeemed for the child."""
    family = await desk.household(24)
    await desk.points.tell(Family(id=family.id).changed(1, family.person_id, child, children={child}))
    reward = await desk.reward(till.merchant)
    async with desk.points.client(family.actor) as client:
        answer = await client.post(
            f"/api/points/rewards/{reward}/redeem",
            json={"for_member_id": str(child)},
            headers={"Idempotency-Key": str(new_id())},
        )
    assert answer.status_code == 201, answer.text
    return family, str(answer.json()["id"])


async def test_a_child_shows_what_was_redeemed_for_it_and_nothing_else_of_the_familys(desk: Desk, till: Till) -> None:
    child_id = new_id()
    family, own = await redeemed_for(desk, till, child_id)
    child = actor("resident", id=child_id, household_id=family.id)
    familys = (await desk.coupon(family, await desk.reward(till.merchant)))["id"]
    assert len((await get(desk, child, f"{own}/code")).json()["code"]) == 20
    assert code_of(await get(desk, child, f"{familys}/code")) == "guardian_needed"
    assert code_of(await get(desk, child, f"{familys}/code.svg")) == "guardian_needed"
    assert (await get(desk, child, familys)).json()["code"] is None
    for coupon in (own, familys):
        assert len((await get(desk, family.actor, coupon)).json()["code"]) == 20
