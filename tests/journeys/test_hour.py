"""An hour is volunteered, becomes points, becomes a coupon, and is spent at a merchant; once."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from chassis.core.ids import new_id
from tests.journeys.running import Running, eventually
from tests.journeys.till import Till

CATEGORIES = {
    "志愿服务",
    "职业体验",
    "文化传承",
    "社区研学",
    "敬老助老",
    "环保公益",
    "体育健康",
    "安全教育",
}


@dataclass
class Family:
    """A family of two adults and a child, or somebody alone, founded for one test: who is signed in, and their ids."""

    client: httpx2.Client
    parent_id: str
    child_id: str = ""

    @property
    def volunteers(self) -> list[str]:
        """Who of them takes part."""
        return [self.parent_id, self.child_id] if self.child_id else [self.parent_id]

    def balance(self) -> int:
        """What the family's civic wallet holds."""
        answer = self.client.get("/api/points/accounts", params={"owner": "me", "ledger": "civic"})
        assert answer.status_code == 200, answer.text
        [account] = answer.json()["items"]
        return int(account["available"])

    def consent(self) -> str:
        """Give the guardian's consent to activities; its id."""
        texts = self.client.get("/api/identity/consent-texts").json()["items"]
        version = next(text["version"] for text in texts if text["purpose"] == "activities")
        answer = self.client.post(
            "/api/identity/consents",
            json={"child_id": self.child_id, "purpose": "activities", "text_version": version},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def register(running: Running) -> str:
    """The access token of a resident whom nobody knew before."""
    phone = running.new_phone()
    with running.client() as client:
        notice = client.get("/api/identity/privacy-notice").json()["version"]
        code = running.code_for(phone)
        answer = client.post(
            "/api/identity/tokens", json={"phone": phone, "code": code, "privacy_notice": notice, "name": "齐测试"}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@contextmanager
def family(running: Running, *, consented: bool = True) -> Iterator[Family]:
    """A family that registers, invites the other parent and adds a child of eight."""
    with running.client(register(running)) as client:
        code = client.post("/api/identity/household/invitations", json={}).json()["code"]
        with running.client(register(running)) as other:
            joined = other.post("/api/identity/household/join", json={"code": code})
            assert joined.status_code == 200, joined.text
        texts = client.get("/api/identity/consent-texts").json()["items"]
        version = next(text["version"] for text in texts if text["purpose"] == "child_record")
        birth = datetime.now(UTC).date().replace(day=1) - timedelta(days=8 * 365)
        child = client.post(
            "/api/identity/household/children",
            json={"name": "齐小测", "birth_date": birth.isoformat(), "text_version": version},
        )
        assert child.status_code == 201, child.text
        me = client.get("/api/identity/me").json()
        assert len(me["household"]["members"]) == 3
        made = Family(client, me["id"], child.json()["id"])
        if consented:
            made.consent()
        yield made


@pytest.fixture
def organisers(running: Running) -> Iterator[list[httpx2.Client]]:
    """Two organisers of one organisation."""
    by_organisation: dict[str, list[str]] = {}
    for account in running.town["accounts"]:
        if account["role"] == "organiser":
            by_organisation.setdefault(account["organisation"], []).append(account["phone"])
    phones = next(found for found in by_organisation.values() if len(found) > 1)
    with running.signed_in(phones[0]) as first, running.signed_in(phones[1]) as second:
        yield [first, second]


def an_open_activity(organiser: httpx2.Client, **more: Any) -> dict[str, Any]:
    """An activity that begins in ten minutes, takes two hours, and is open."""
    starts_at = datetime.now(UTC) + timedelta(minutes=10)
    body = {
        "title": "楼道清扫",
        "category": "环保公益",
        "starts_at": starts_at.isoformat(),
        "ends_at": (starts_at + timedelta(hours=2)).isoformat(),
        "capacity": 20,
        "place": "槐安里社区一号楼前",
        "description": "带上手套，孩子由家长带领。",
    }
    made = organiser.post("/api/events/activities", json=body | more)
    assert made.status_code == 201, made.text
    for step in ("publish", "open"):
        answer = organiser.post(f"/api/events/activities/{made.json()['id']}/{step}")
        assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "open"
    opened: dict[str, Any] = answer.json()
    return opened


def sign_up(client: httpx2.Client, activity: dict[str, Any], *members: str) -> httpx2.Response:
    """Sign these members up."""
    return client.post(f"/api/events/activities/{activity['id']}/signups", json={"members": list(members)})


def step(client: httpx2.Client, activity: dict[str, Any], name: str, body: Any = None) -> dict[str, Any]:
    """Take a step with the activity that must succeed."""
    answer = client.post(f"/api/events/activities/{activity['id']}/{name}", json=body or {})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def venue_code(organiser: httpx2.Client, activity: dict[str, Any]) -> str:
    answer = organiser.get(f"/api/events/activities/{activity['id']}/venue-code")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["code"])


def attend(organiser: httpx2.Client, activity: dict[str, Any], *families: Family) -> None:
    """Check these families in and out."""
    for name in ("check-ins", "check-outs"):
        for who in families:
            step(who.client, activity, name, {"code": venue_code(organiser, activity)})


def earn(organiser: httpx2.Client, who: Family, minutes: int = 240) -> int:
    """Let all of them volunteer so long; what the household holds then."""
    before = who.balance()
    activity = an_open_activity(organiser)
    assert sign_up(who.client, activity, *who.volunteers).status_code == 201
    attend(organiser, activity, who)
    step(organiser, activity, "end")
    adjustments = [{"person_id": person, "minutes": minutes, "reason": "现场记录"} for person in who.volunteers]
    step(organiser, activity, "settle", {"adjustments": adjustments})
    expected = before + len(adjustments) * minutes * 12 // 60
    eventually(lambda: who.balance() == expected)
    return expected


def offers(running: Running, client: httpx2.Client) -> list[dict[str, Any]]:
    """The rewards that some merchant of the demo town honours, the cheapest first, with that merchant."""
    merchants = {reward["id"]: reward["merchants"] for reward in running.town["rewards"]}
    listed = client.get("/api/points/rewards").json()["items"]
    found = [item | {"mchids": merchants[item["id"]]} for item in listed if merchants.get(item["id"])]
    return sorted(found, key=lambda item: item["cost"])


def redeem(client: httpx2.Client, reward: dict[str, Any], key: str) -> httpx2.Response:
    return client.post(f"/api/points/rewards/{reward['id']}/redeem", headers={"Idempotency-Key": key})


def a_till(running: Running, client: httpx2.Client, reward: dict[str, Any]) -> Till:
    """A till of a merchant that honours this reward."""
    return Till(client, next(item for item in running.town["merchants"] if item["mchid"] in reward["mchids"]))


def volunteer(organisers: list[httpx2.Client], ours: Family, theirs: Family) -> None:
    """Ours take part for two hours each, the last quarter by a correction; theirs wait in vain: 48 points and 0."""
    organiser = organisers[0]
    activity = an_open_activity(organiser, capacity=3)
    first = sign_up(ours.client, activity, ours.parent_id, ours.child_id)
    assert (first.status_code, first.json()["state"]) == (201, "confirmed")
    second = sign_up(theirs.client, activity, theirs.parent_id, theirs.child_id)
    assert (second.json()["state"], second.json()["rank"]) == ("waitlisted", 1)
    foreign = sign_up(theirs.client, activity, ours.child_id)
    assert (foreign.status_code, foreign.json()["errors"][0]["name"]) == (422, "body.members.0")

    wrong = ours.client.post(f"/api/events/activities/{activity['id']}/check-ins", json={"code": "000000"})
    assert wrong.status_code == 422
    attend(organiser, activity, ours)
    step(organiser, activity, "end")
    adjustments = [
        {"person_id": person, "minutes": minutes, "reason": "签到晚了，现场记录"}
        for person, minutes in ((ours.parent_id, 120), (ours.child_id, 105))
    ]
    step(organiser, activity, "settle", {"adjustments": adjustments})
    eventually(lambda: ours.balance() == 24 + 21)
    step(organiser, activity, "settle", {"adjustments": []})
    time.sleep(1)
    assert ours.balance() == 45
    assert theirs.balance() == 0
    correction = {"person_id": ours.child_id, "minutes": 120, "reason": "补记一刻钟"}
    step(organisers[1], activity, "corrections", correction)
    eventually(lambda: ours.balance() == 48)


def redeem_once(reward: dict[str, Any], ours: Family, theirs: Family) -> dict[str, Any]:
    """Ours get one coupon by one key, asked twice; theirs, who have no points, get none. The coupon."""
    refused = redeem(theirs.client, reward, "theirs")
    assert (refused.status_code, refused.json()["code"]) == (422, "insufficient_points")
    coupon = redeem(ours.client, reward, "once")
    assert (coupon.status_code, coupon.json()["state"]) == (201, "effective")
    again = redeem(ours.client, reward, "once")
    assert (again.json()["id"], again.headers["Idempotency-Hit"]) == (coupon.json()["id"], "true")
    stock = ours.client.get(f"/api/points/rewards/{reward['id']}").json()["stock"]
    assert stock == reward["stock"] - 1
    made: dict[str, Any] = coupon.json()
    return made


def spend_once(till: Till, coupon: dict[str, Any]) -> None:
    """The till takes the coupon; the same request again gets the same answer, another is refused."""
    prepared = till.call("POST", "/coupons/prepare", {"coupon_code": coupon["code"], "store_id": till.store_id})
    assert (prepared.status_code, prepared.json()["usable"]) == (200, True)
    number = new_id().hex
    request = till.use_body(coupon["code"], number)
    used = till.call("POST", "/coupons/use", request)
    assert (used.status_code, used.json()["state"]) == (200, "USED"), used.text
    repeated = till.call("POST", "/coupons/use", request)
    assert (repeated.status_code, repeated.content) == (200, used.content)
    other = till.use(coupon["code"], new_id().hex)
    assert (other.status_code, other.json()["code"]) == (409, "COUPON_USED")
    assert till.call("GET", f"/requests/use/{number}").status_code == 200
    assert till.call("GET", f"/coupons/{coupon['id']}").json()["state"] == "USED"


def test_an_hour_becomes_points_becomes_a_coupon_and_is_spent_once(
    running: Running, organisers: list[httpx2.Client]
) -> None:
    listed = organisers[0].get("/api/events/activities", params={"limit": 100}).json()["items"]
    assert {item["category_zh"] for item in listed} == CATEGORIES
    with family(running) as ours, family(running) as theirs, running.client() as shop:
        volunteer(organisers, ours, theirs)
        cheapest = offers(running, ours.client)[0]
        coupon = redeem_once(cheapest, ours, theirs)
        assert ours.balance() == 48 - cheapest["cost"]
        spend_once(a_till(running, shop, cheapest), coupon)
        assert ours.client.get(f"/api/points/coupons/{coupon['id']}").json()["state"] == "used"
        assert ours.balance() == 48 - cheapest["cost"]


def test_a_forged_stale_or_replayed_request_of_a_till_spends_nothing(
    running: Running, organisers: list[httpx2.Client]
) -> None:
    with family(running) as ours, running.client() as shop:
        earn(organisers[0], ours)
        reward = offers(running, ours.client)[0]
        coupon = redeem(ours.client, reward, "k").json()
        till = a_till(running, shop, reward)
        body = till.use_body(coupon["code"], new_id().hex)
        refused = {
            "SIGN_ERROR": {"tampered": True},
            "TIMESTAMP_EXPIRED": {"timestamp": int(time.time()) - 360},
        }
        for code, how in refused.items():
            answer = till.call("POST", "/coupons/use", body, **how)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert till.call("POST", "/echo", {"a": 1}, nonce="n" * 20).status_code == 200
        replayed = till.call("POST", "/coupons/use", body, nonce="n" * 20)
        assert (replayed.status_code, replayed.json()["code"]) == (401, "NONCE_REUSED")
        bearer = ours.client.post("/merchant/v1/coupons/use", json=body)
        assert bearer.status_code == 401
        assert till.call("GET", f"/coupons/{coupon['id']}").json()["state"] == "EFFECTIVE"


def test_of_ten_tills_with_one_coupon_one_takes_it_and_ten_equal_requests_are_one(
    running: Running, organisers: list[httpx2.Client]
) -> None:
    with family(running) as ours, running.client() as shop:
        earn(organisers[0], ours)
        reward = offers(running, ours.client)[0]
        till = a_till(running, shop, reward)
        first, second = (redeem(ours.client, reward, key).json() for key in ("k1", "k2"))
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda n: till.use(first["code"], f"race-{first['id']}-{n}"), range(10)))
            assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
            assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"COUPON_USED"}
            body = till.use_body(second["code"], new_id().hex)
            answers = list(pool.map(lambda _: till.call("POST", "/coupons/use", body), range(10)))
            assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}


@pytest.mark.timeout(1200)  # most of it goes into two hundred people who register
def test_of_200_families_that_race_for_30_places_30_get_one_and_170_wait_in_order(
    running: Running, organisers: list[httpx2.Client]
) -> None:
    activity = an_open_activity(organisers[0], capacity=30)
    with ThreadPoolExecutor(24) as pool, ExitStack() as stack:
        tokens = list(pool.map(lambda _: register(running), range(200)))
        clients = [stack.enter_context(running.client(token)) for token in tokens]
        people = list(pool.map(lambda client: client.get("/api/identity/me").json()["id"], clients))

        def race(number: int) -> httpx2.Response:
            return sign_up(clients[number], activity, people[number])

        answers = list(pool.map(race, range(200)))
        assert {answer.status_code for answer in answers} == {201}
        states = [answer.json()["state"] for answer in answers]
        assert (states.count("confirmed"), states.count("waitlisted")) == (30, 170)
        ranks = [answer.json()["rank"] for answer in answers if answer.json()["state"] == "waitlisted"]
        assert sorted(ranks) == list(range(1, 171))

        winner = states.index("confirmed")
        step(clients[winner], activity, f"signups/{answers[winner].json()['id']}/withdraw")
        head = next(number for number, answer in enumerate(answers) if answer.json()["rank"] == 1)
        [own] = clients[head].get("/api/events/signups", params={"owner": "me"}).json()["items"]
        assert own["state"] == "confirmed"
        shown = organisers[0].get(f"/api/events/activities/{activity['id']}").json()
        assert (shown["free"], shown["full"], shown["waitlisted"]) == (0, True, 169)


def test_a_child_whose_consent_is_withdrawn_takes_part_no_more(
    running: Running, organisers: list[httpx2.Client]
) -> None:
    with family(running, consented=False) as ours, family(running) as next_ones:
        activity = an_open_activity(organisers[0], capacity=2)
        missing = sign_up(ours.client, activity, ours.parent_id, ours.child_id)
        assert (missing.status_code, missing.json()["code"]) == (422, "consent_required")
        consent = ours.consent()
        eventually(lambda: sign_up(ours.client, activity, ours.parent_id, ours.child_id).status_code == 201)
        assert sign_up(next_ones.client, activity, next_ones.child_id).json()["state"] == "waitlisted"
        withdrawn = ours.client.post(f"/api/identity/consents/{consent}/withdraw")
        assert withdrawn.status_code == 200, withdrawn.text

        def states(who: Family) -> list[str]:
            items = who.client.get("/api/events/signups", params={"owner": "me"}).json()["items"]
            return [item["state"] for item in items if item["activity"]["id"] == activity["id"]]

        eventually(lambda: states(ours) == ["withdrawn"])
        eventually(lambda: states(next_ones) == ["confirmed"])


def test_who_joins_a_family_brings_their_points_and_who_is_deleted_leaves_no_name(
    running: Running, organisers: list[httpx2.Client]
) -> None:
    with family(running) as ours:
        held = earn(organisers[0], ours)
        with running.client(register(running)) as client:
            newcomer = Family(client, client.get("/api/identity/me").json()["id"])
            brought = earn(organisers[1], newcomer)
            code = ours.client.post("/api/identity/household/invitations", json={}).json()["code"]
            assert client.post("/api/identity/household/join", json={"code": code}).status_code == 200
            eventually(lambda: ours.balance() == held + brought)
            gone = client.post("/api/identity/me/delete", json={"confirm": True})
            assert gone.status_code == 204, gone.text
            assert client.get("/api/identity/me").status_code == 401
        members = ours.client.get("/api/identity/me").json()["household"]["members"]
        assert newcomer.parent_id not in {member["id"] for member in members}
        assert ours.balance() == held + brought


def test_the_first_screen_shows_everything_at_once(running: Running, organisers: list[httpx2.Client]) -> None:
    with family(running) as ours:
        held = earn(organisers[0], ours)
        reward = offers(running, ours.client)[0]
        coupon = redeem(ours.client, reward, "k").json()
        activity = an_open_activity(organisers[0])
        assert sign_up(ours.client, activity, ours.parent_id).status_code == 201
        answer = ours.client.get("/api/home")
        assert answer.status_code == 200, answer.text
        home = answer.json()
        assert home["missing"] == []
        assert home["me"]["id"] == ours.parent_id
        assert [item["available"] for item in home["balances"]] == [held - reward["cost"]]
        assert home["orders"] == []
        assert [item["activity"]["id"] for item in home["activities"]] == [activity["id"]]
        assert [item["id"] for item in home["coupons"]] == [coupon["id"]]
    with running.client() as nobody:
        assert nobody.get("/api/home").status_code == 401
