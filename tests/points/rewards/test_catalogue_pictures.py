"""What a reward looks like: nothing hidden in a file reaches anybody, and nobody sees a draft's."""

from typing import Any

import httpx2
import pytest
from PIL import Image

from chassis.core.actor import Actor
from tests.orders.images import decoded, encoded, photo, photo_with_secrets
from tests.points.rewards.conftest import Shop, code_of
from tests.points.rewards.office import APPROVER, AUDITOR, WRITER, Office
from tests.town import actor


@pytest.fixture
def office(shop: Shop) -> Office:
    return Office(shop)


async def sent(office: Office, reward: dict[str, Any], content: bytes, **options: Any) -> httpx2.Response:
    return await office.ask("POST", f"/{reward['id']}/pictures", files={"file": ("p.jpg", content)}, **options)


async def seen(
    office: Office, reward: dict[str, Any], picture: str, who: Actor | None, **params: str
) -> httpx2.Response:
    async with office.shop.points.client(who) as client:
        return await client.get(f"/api/points/rewards/{reward['id']}/pictures/{picture}", params=params)


async def test_a_picture_is_seen_by_all_once_listed_and_before_by_those_who_decide(office: Office) -> None:
    reward = await office.drafted()
    answer = await sent(office, reward, photo_with_secrets())
    assert answer.status_code == 201, answer.text
    picture = answer.json()["id"]
    for who, status in ((None, 404), (actor("resident"), 404), (WRITER, 200), (AUDITOR, 200)):
        assert (await seen(office, reward, picture, who)).status_code == status
    draft = await office.done("GET", f"/{reward['id']}")
    assert (draft["pictures"], draft["version"]) == ([{"id": picture, "width": 64, "height": 48}], 2)
    await office.approve(draft)
    await office.done("POST", f"/{reward['id']}/list")
    shown = await seen(office, reward, picture, None)
    assert (shown.headers["Content-Type"], decoded(shown.content).size) == ("image/jpeg", (64, 48))
    assert b"SECRET" not in shown.content
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["Cache-Control"] == "public, max-age=86400, immutable"
    assert (await office.public(reward)).json()["pictures"][0]["id"] == picture
    thumb = await seen(office, reward, picture, None, size="thumb")
    assert decoded(thumb.content).size == (64, 48)
    other = await office.listed()
    assert code_of(await seen(office, other, picture, None)) == "reward_picture_not_found"


async def test_a_picture_that_comes_after_the_approval_needs_another(office: Office) -> None:
    reward = await office.approved()
    assert (await sent(office, reward, photo())).status_code == 201
    assert (await office.done("GET", f"/{reward['id']}"))["state"] == "draft"
    listed = await office.listed()
    assert code_of(await sent(office, listed, photo())) == "reward_state_wrong"


async def test_a_picture_can_be_taken_away_at_any_time(office: Office) -> None:
    reward = await office.drafted()
    picture = (await sent(office, reward, photo())).json()["id"]
    await office.approve(await office.done("GET", f"/{reward['id']}"))
    await office.done("POST", f"/{reward['id']}/list")
    await office.done("DELETE", f"/{reward['id']}/pictures/{picture}", APPROVER)
    assert (await seen(office, reward, picture, None)).status_code == 404
    assert (await office.public(reward)).json()["pictures"] == []
    assert await office.refused("DELETE", f"/{reward['id']}/pictures/{picture}") == (404, "reward_picture_not_found")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"GIF89a" + bytes(40), 415, "photo_wrong_type"),
        (photo()[:200], 422, "photo_unreadable"),
        (encoded(Image.new("1", (8000, 7000)), "PNG"), 413, "photo_too_large"),
        (bytes(5 << 20), 413, "content_too_large"),
    ],
    ids=["another kind", "cut off", "too many pixels", "too many bytes"],
)
async def test_what_is_no_picture_is_refused(office: Office, content: bytes, status: int, code: str) -> None:
    reward = await office.drafted()
    answer = await sent(office, reward, content)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert (await office.done("GET", f"/{reward['id']}"))["pictures"] == []


async def test_six_pictures_are_enough_and_stay_in_their_order(office: Office) -> None:
    reward = await office.drafted()
    made = [(await sent(office, reward, photo())).json()["id"] for _ in range(6)]
    assert code_of(await sent(office, reward, photo())) == "too_many_pictures"
    shown = await office.done("GET", f"/{reward['id']}")
    assert [picture["id"] for picture in shown["pictures"]] == made


async def test_nobody_else_sends_pictures(office: Office) -> None:
    reward = await office.drafted()
    for who in (AUDITOR, actor("resident"), actor("merchant")):
        assert (await sent(office, reward, photo(), who=who)).status_code == 403
