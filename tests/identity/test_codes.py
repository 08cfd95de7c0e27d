"""Codes by SMS: who gets one, who gets in with it, and who is kept out."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from chassis.core import clock
from services.identity.signin.senders import ConsoleSender
from services.identity.signin.terms import PRIVACY_NOTICE_VERSION
from tests.identity.service import OTHER_PHONE, PHONE, Identity, start
from tests.town import Town

AT = datetime(2025, 3, 7, 8, 30, tzinfo=UTC)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def body(code: str, phone: str = PHONE, notice: str = PRIVACY_NOTICE_VERSION) -> dict[str, str]:
    return {"phone": phone, "code": code, "privacy_notice": notice}


async def test_asking_for_a_code_does_not_tell_whether_somebody_has_the_phone(identity: Identity) -> None:
    await identity.record_person("张三丰", PHONE)
    known, unknown = await identity.post("/otp", {"phone": PHONE}), await identity.post("/otp", {"phone": OTHER_PHONE})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    assert known.status_code == 202
    assert known.json() == {"expires_in": 300, "retry_after": 0}
    assert [phone for phone, _ in identity.outbox.sent] == [PHONE, OTHER_PHONE]


async def test_a_wrong_code_does_not_tell_whether_somebody_has_the_phone(identity: Identity) -> None:
    await identity.record_person("张三丰", PHONE)
    answers = [await identity.post("/tokens", body("000000", phone)) for phone in (PHONE, OTHER_PHONE)]
    known, unknown = [answer.json() | {"request_id": None} for answer in answers]
    assert known == unknown
    assert known["code"] == "code_invalid"
    assert known["errors"][0]["name"] == "body.code"


async def test_a_phone_written_in_another_way_is_the_same_phone(identity: Identity) -> None:
    code = await identity.code_for("+86 100-0000-0001")
    assert identity.outbox.sent == [(PHONE, code)]
    assert (await identity.post("/tokens", body(code))).status_code == 200


async def test_a_phone_gets_five_codes_an_hour_and_is_told_when_the_next(identity: Identity) -> None:
    for minute in range(5):
        with clock.frozen(AT + timedelta(minutes=minute)):
            last = await identity.post("/otp", {"phone": PHONE})
    assert last.json()["retry_after"] == 56 * 60
    with clock.frozen(AT + timedelta(minutes=30)):
        refused = await identity.post("/otp", {"phone": PHONE}, address="203.0.113.99")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_codes")
        assert refused.headers["Retry-After"] == "1800"
        assert (await identity.post("/otp", {"phone": OTHER_PHONE})).status_code == 202
    with clock.frozen(AT + timedelta(minutes=60)):
        assert (await identity.post("/otp", {"phone": PHONE})).status_code == 202
    assert len(identity.outbox.sent) == 7


async def test_asking_ten_times_at_once_does_not_get_more_than_five_codes(identity: Identity) -> None:
    answers = await asyncio.gather(
        *(identity.post("/otp", {"phone": PHONE}, address=f"203.0.113.{n}") for n in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [429] * 5
    assert len(identity.outbox.sent) == 5


async def test_a_code_gets_in_once(identity: Identity) -> None:
    code = await identity.code_for(PHONE)
    assert (await identity.post("/tokens", body(code))).status_code == 200
    assert (await identity.post("/tokens", body(code))).json()["code"] == "code_invalid"


async def test_of_ten_who_use_one_code_at_once_one_gets_in_and_one_person_comes_of_it(identity: Identity) -> None:
    code = await identity.code_for(PHONE)
    answers = await asyncio.gather(*(identity.post("/tokens", body(code), address=f"203.0.113.{n}") for n in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 9
    async with identity.db.transaction() as session:
        counts = await session.execute(text("SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM household)"))
    assert counts.one() == (1, 1)


async def test_two_sign_ins_of_a_new_phone_at_once_make_one_person(identity: Identity) -> None:
    """The first code is spent by one while a second code is asked for and spent: still one person."""

    async def sign_in() -> int:
        answer = await identity.post("/tokens", body(await identity.code_for(PHONE)))
        return answer.status_code

    assert 200 in await asyncio.gather(*(sign_in() for _ in range(4)))
    async with identity.db.transaction() as session:
        assert await session.scalar(text("SELECT count(*) FROM person")) == 1


async def test_only_the_latest_code_is_good(identity: Identity) -> None:
    first = await identity.code_for(PHONE)
    second = await identity.code_for(PHONE)
    if first != second:
        assert (await identity.post("/tokens", body(first))).status_code == 422
    assert (await identity.post("/tokens", body(second))).status_code == 200


async def test_a_code_is_good_for_five_minutes(identity: Identity) -> None:
    with clock.frozen(AT):
        code = await identity.code_for(PHONE)
    with clock.frozen(AT + timedelta(minutes=5)):
        assert (await identity.post("/tokens", body(code))).status_code == 422
    with clock.frozen(AT + timedelta(minutes=5, microseconds=-1)):
        assert (await identity.post("/tokens", body(code))).status_code == 200


async def test_a_code_of_another_phone_does_not_get_in(identity: Identity) -> None:
    code = await identity.code_for(OTHER_PHONE)
    if code != await identity.code_for(PHONE):
        assert (await identity.post("/tokens", body(code))).status_code == 422


async def test_after_five_wrong_tries_the_right_code_still_gets_in(identity: Identity) -> None:
    code = await identity.code_for(PHONE)
    for _ in range(5):
        assert (await identity.post("/tokens", body(wrong(code)))).status_code == 422
    assert (await identity.post("/tokens", body(code))).status_code == 200


async def test_six_wrong_tries_kill_a_code_and_a_new_one_gets_in(identity: Identity) -> None:
    code = await identity.code_for(PHONE)
    for _ in range(6):
        assert (await identity.post("/tokens", body(wrong(code)))).status_code == 422
    assert (await identity.post("/tokens", body(code))).json()["code"] == "code_invalid"
    assert (await identity.post("/tokens", body(await identity.code_for(PHONE)))).status_code == 200


async def test_twenty_wrong_tries_at_once_are_never_more_than_six(identity: Identity) -> None:
    code = await identity.code_for(PHONE)
    guesses = [wrong(code)] * 20
    answers = await asyncio.gather(
        *(identity.post("/tokens", body(guess), address=f"203.0.113.{n}") for n, guess in enumerate(guesses))
    )
    assert {answer.status_code for answer in answers} == {422}
    async with identity.db.transaction() as session:
        assert await session.scalar(text("SELECT wrong_tries FROM sign_in_code")) == 6
    assert (await identity.post("/tokens", body(code))).status_code == 422


async def test_one_address_cannot_ask_for_the_codes_of_a_whole_town(empty_town: Town) -> None:
    identity = await start(empty_town, codes_per_address_hour=3)
    with clock.frozen(AT):
        answers = [await identity.post("/otp", {"phone": f"1000000100{n}"}) for n in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert answers[3].headers["Retry-After"] == "1800"
        elsewhere = await identity.post("/otp", {"phone": PHONE}, address="203.0.113.8")
        assert elsewhere.status_code == 202
    with clock.frozen(AT + timedelta(minutes=30)):
        assert (await identity.post("/otp", {"phone": PHONE})).status_code == 202


async def test_one_address_cannot_guess_at_the_codes_of_a_whole_town(empty_town: Town) -> None:
    identity = await start(empty_town, wrong_tries_per_address_hour=3)
    with clock.frozen(AT):  # an address's tries are counted by the hour of the clock
        code = await identity.code_for(PHONE)
        answers = [await identity.post("/tokens", body("000000", f"1000000100{n}")) for n in range(4)]
        assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
        assert answers[3].json()["code"] == "too_many_tries"
        assert (await identity.post("/tokens", body(code))).status_code == 429
        assert (await identity.post("/tokens", body(code), address="203.0.113.8")).status_code == 200


async def test_right_codes_do_not_use_up_an_address_that_many_people_share(empty_town: Town) -> None:
    identity = await start(empty_town, wrong_tries_per_address_hour=1)
    for n in range(3):
        await identity.sign_in(f"1000000100{n}")


async def test_the_limits_hold_across_processes(empty_town: Town) -> None:
    first = await start(empty_town, codes_per_address_hour=3)
    second = await start(empty_town, codes_per_address_hour=3)
    with clock.frozen(AT):
        answers = [await one.post("/otp", {"phone": PHONE}) for one in (first, second, first, second)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]


async def test_a_demonstration_is_generous_to_this_machine_alone(empty_town: Town) -> None:
    identity = await start(empty_town, loopback_factor=10)
    for address, expected in (("127.0.0.1", 202), ("203.0.113.7", 429)):
        answers = [await identity.post("/otp", {"phone": PHONE}, address=address) for _ in range(6)]
        assert answers[5].status_code == expected


async def test_even_a_demonstration_kills_a_code_after_six_wrong_tries(empty_town: Town) -> None:
    identity = await start(empty_town, loopback_factor=10)
    code = await identity.code_for(PHONE)
    for _ in range(6):
        await identity.post("/tokens", body(wrong(code)), address="127.0.0.1")
    assert (await identity.post("/tokens", body(code), address="127.0.0.1")).status_code == 422


async def test_the_demo_code_is_every_phones_code_where_it_is_switched_on(identity: Identity) -> None:
    identity.app.state.desk.demo_code = "246810"
    assert await identity.code_for(PHONE) == "246810"
    assert (await identity.post("/tokens", body("246810"))).status_code == 200
    assert (await identity.post("/tokens", body("246810"))).status_code == 422  # still once, and only when asked for


async def test_no_environment_variable_switches_the_demo_code_on(
    empty_town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEIYUAN_DEMO_CODE", "246810")
    identity = await start(empty_town)
    assert identity.app.state.desk.demo_code is None
    assert not hasattr(identity.app.state.desk.settings, "demo_code")


async def test_no_code_and_no_phone_lies_in_the_database_in_the_clear(identity: Identity) -> None:
    code = await identity.code_for(PHONE)
    await identity.record_person("张三丰", OTHER_PHONE)
    async with identity.db.transaction() as session:
        for table in ("sign_in_code", "address_count", "person", "request"):
            for row in await session.execute(text(f"SELECT * FROM {table}")):
                shown = repr([bytes(v) if isinstance(v, memoryview) else v for v in row])
                for secret in (code, PHONE, OTHER_PHONE, "203.0.113.7"):
                    assert secret not in shown
                assert "张三丰".encode() not in b"".join(v for v in row if isinstance(v, bytes))


async def test_the_same_request_sent_again_sends_one_code(identity: Identity) -> None:
    for _ in range(2):
        answer = await identity.post("/otp", {"phone": PHONE}, Idempotency_Key="a-key-of-the-phone")
        assert answer.status_code == 202
    assert answer.headers["Idempotency-Hit"] == "true"
    assert len(identity.outbox.sent) == 1


async def test_a_wrong_try_under_an_idempotency_key_is_counted_and_answered_again(identity: Identity) -> None:
    code = await identity.code_for(PHONE)
    answers = [
        await identity.post("/tokens", body(wrong(code)), Idempotency_Key="a-key-of-the-phone") for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    async with identity.db.transaction() as session:
        assert await session.scalar(text("SELECT wrong_tries FROM sign_in_code")) == 1


async def test_a_code_that_could_not_be_sent_leaves_no_trace_of_it_in_the_log(
    identity: Identity, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        code = ""

        async def send_code(self, phone: str, code: str, *, minutes: int) -> None:
            self.code = code
            raise OSError(f"could not send {code} to {phone}")

    identity.app.state.desk.sender = broken = Broken()
    assert (await identity.post("/otp", {"phone": PHONE})).status_code == 202
    assert len(broken.code) == 6
    assert broken.code not in caplog.text
    assert PHONE not in caplog.text


async def test_the_console_sender_writes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    await ConsoleSender().send_code(PHONE, "135790", minutes=5)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert PHONE in out
    assert "135790" in out
