"""Who may: nobody without a good token, nobody without the post, and no header is believed."""

from datetime import timedelta
from typing import Annotated

import httpx2
import pytest
from fastapi import Depends

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.web.auth import ClientAddress, OptionalActor, require, require_service
from chassis.web.router import Router
from tests.chassis.toy.town import ToyTown, service_of
from tests.town import actor

router = Router(prefix="/api/sender")
MayWrite = Annotated[Actor, Depends(require("writer", "editor"))]
SignedIn = Annotated[Actor, Depends(require())]


@router.get("/writers")
async def writers_only(who: MayWrite) -> str:
    return str(who.id)


@router.get("/members")
async def members_only(who: SignedIn) -> str:
    return str(who.id)


@router.get("/anybody")
async def anybody(who: OptionalActor) -> str | None:
    return str(who.id) if who else None


@router.get("/address")
async def address(where: ClientAddress) -> str:
    return where


@router.get("/for-receiver", dependencies=[Depends(require_service("receiver"))])
async def for_receiver() -> str:
    return "yes"


@pytest.fixture
async def town(shared: ToyTown) -> ToyTown:
    if "sender" not in shared.apps:
        await shared.serve(service_of(router))
        await shared.start("receiver")
    shared.jwks_status = 200
    return shared


async def get(
    town: ToyTown, path: str, who: Actor | None = None, headers: dict[str, str] | None = None
) -> httpx2.Response:
    async with town.client("sender", who) as client:
        return await client.get(f"/api/sender{path}", headers=headers)


def bearing(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}


async def test_whoever_holds_one_of_the_posts_may(town: ToyTown) -> None:
    for who in (actor("writer"), actor("editor", "resident")):
        answer = await get(town, "/writers", who)
        assert (answer.status_code, answer.json()) == (200, str(who.id))


async def test_without_a_token_it_is_401_and_without_the_post_403(town: ToyTown) -> None:
    answer = await get(town, "/writers")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    answer = await get(town, "/writers", actor("resident"))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await get(town, "/members", actor())).status_code == 200
    assert (await get(town, "/members")).status_code == 401


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer x.y.z", "Bearer " + "x" * 5000, "Bearer a b", "\xff"],
)
@pytest.mark.parametrize("path", ["/writers", "/anybody"])
async def test_a_header_that_is_no_good_token_is_refused_even_where_none_is_needed(
    town: ToyTown, header: str, path: str
) -> None:
    async with town.client("sender") as client:
        answer = await client.get(f"/api/sender{path}", headers={b"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_the_scheme_is_written_in_any_case(town: ToyTown) -> None:
    who = actor("writer")
    assert (await get(town, "/writers", headers=bearing(town.token(who), "bEARER"))).json() == str(who.id)


async def test_an_expired_token_is_refused(town: ToyTown) -> None:
    with clock.frozen(clock.now() - timedelta(hours=1)):
        token = town.token(actor("writer"))
    answer = await get(town, "/writers", headers=bearing(token))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


async def test_headers_that_claim_a_post_are_not_believed(town: ToyTown) -> None:
    headers = {"X-Actor": "writer", "X-User-Id": "1", "X-Roles": "writer", "X-Beiyuan-Actor": "writer"}
    assert (await get(town, "/writers", headers=headers)).status_code == 401


async def test_while_identity_is_away_who_is_known_goes_on_and_a_stranger_is_told_to_wait(toys: ToyTown) -> None:
    await toys.serve(service_of(router))
    toys.jwks_status = 500
    answer = await get(toys, "/writers", actor("writer"))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    toys.jwks_status = 200
    toys.runtime("sender").access_tokens._tried_at = float("-inf")
    assert (await get(toys, "/writers", actor("writer"))).status_code == 200
    toys.jwks_status = 500
    assert (await get(toys, "/writers", actor("writer"))).status_code == 200


async def test_a_services_call_needs_that_services_token(town: ToyTown) -> None:
    tokens = {name: town.runtime(name).service_tokens for name in ("sender", "receiver")}
    for token, status in (
        (tokens["receiver"].issue("sender"), 200),
        (tokens["sender"].issue("sender"), 403),
        (tokens["receiver"].issue("receiver"), 401),
        (town.token(actor("writer")), 401),
        ("", 401),
    ):
        answer = await get(town, "/for-receiver", headers=bearing(token))
        assert answer.status_code == status
    assert (await get(town, "/for-receiver")).status_code == 401


async def test_a_services_token_is_nobodys_sign_in(town: ToyTown) -> None:
    token = town.runtime("receiver").service_tokens.issue("sender")
    assert (await get(town, "/members", headers=bearing(token))).status_code == 401


async def test_an_address_is_believed_from_the_gateway_alone(town: ToyTown) -> None:
    def claiming(**headers: str) -> dict[str, str]:
        return {"X-Beiyuan-Client": "198.51.100.9"} | {name.replace("_", "-"): value for name, value in headers.items()}

    assert (await get(town, "/address", headers=claiming())).json() == "203.0.113.7"
    assert (await get(town, "/address", headers=claiming(X_Forwarded_For="198.51.100.9"))).json() == "203.0.113.7"
    other = town.runtime("receiver").service_tokens.issue("sender")
    assert (await get(town, "/address", headers=claiming(X_Beiyuan_Gateway=other))).json() == "203.0.113.7"
    gateway = town.gateway_token("sender")
    assert (await get(town, "/address", headers=claiming(X_Beiyuan_Gateway=gateway))).json() == "198.51.100.9"
    assert (await get(town, "/address", headers=claiming(X_Beiyuan_Gateway="forged"))).status_code == 401
