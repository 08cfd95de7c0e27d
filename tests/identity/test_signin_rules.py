"""Decisions of signing in that need no database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.identity.signin import rules
from services.identity.signin.errors import RefreshInvalid, TooManyCodes
from services.identity.signin.tables import RefreshFamily, SignInCode

AT = datetime(2025, 3, 7, 8, 30, tzinfo=UTC)
KEY = b"k" * 32
FAMILY = UUID("3f1c2b9a-6d43-4b0e-9c0f-5d7f5a1b2c3d")
LIMITS = rules.Limits(codes_per_phone=5, tries_per_code=6, codes_per_address=30, wrong_tries_per_address=60)


def minutes(*ago: int) -> list[datetime]:
    return [AT - timedelta(minutes=minute) for minute in ago]


def test_a_sixth_code_within_an_hour_is_refused_until_the_first_is_an_hour_old() -> None:
    sent = minutes(59, 40, 30, 20, 10)
    with pytest.raises(TooManyCodes) as refused:
        rules.check_phone_may_receive(sent, 5, AT)
    assert refused.value.headers["Retry-After"] == "60"
    rules.check_phone_may_receive(sent, 5, AT + timedelta(minutes=1))


def test_no_hour_ever_holds_more_codes_than_the_limit_whenever_they_are_asked_for() -> None:
    sent: list[datetime] = []
    every: list[datetime] = []
    for minute in range(0, 300, 4):
        at = AT + timedelta(minutes=minute)
        if rules.wait_before_next(sent, 5, at) == 0:
            sent = [*rules.recent(sent, at), at]
            every.append(at)
    assert max(sum(one <= other < one + rules.HOUR for other in every) for one in every) == 5
    assert len(every) == 25  # and the whole allowance of each of the five hours can be had


def test_a_phone_with_room_need_not_wait_and_a_full_one_is_told_how_long() -> None:
    assert rules.wait_before_next(minutes(50, 40, 30, 20), 5, AT) == 0
    assert rules.wait_before_next(minutes(50, 40, 30, 20, 0), 5, AT) == 600


def code(*, tries: int = 0, code_hash: bytes | None = b"right", expires_at: datetime | None = None) -> SignInCode:
    return SignInCode(
        phone_fingerprint=b"p",
        code_hash=code_hash,
        expires_at=expires_at or AT + timedelta(minutes=5),
        wrong_tries=tries,
        sent_at=[AT],
    )


def test_the_right_code_is_taken_and_a_wrong_one_is_not() -> None:
    assert rules.is_right(code(), b"right", 6, AT)
    assert not rules.is_right(code(), b"wrong", 6, AT)


@pytest.mark.parametrize(
    "dead",
    [
        pytest.param(code(tries=6), id="six wrong tries"),
        pytest.param(code(expires_at=AT), id="expired"),
        pytest.param(code(code_hash=None), id="used"),
    ],
)
def test_a_dead_code_is_not_taken_even_if_it_is_right(dead: SignInCode) -> None:
    assert not rules.is_alive(dead, 6, AT)
    assert not rules.is_right(dead, b"right", 6, AT)


def test_the_sixth_try_may_still_be_the_right_one() -> None:
    assert rules.is_right(code(tries=5), b"right", 6, AT)


def test_an_empty_hash_does_not_open_a_used_code() -> None:
    assert not rules.is_right(code(code_hash=None), b"", 6, AT)


def test_being_generous_to_loopback_never_gives_more_tries_at_a_code() -> None:
    assert LIMITS.times(10) == replace(LIMITS, codes_per_phone=50, codes_per_address=300, wrong_tries_per_address=600)


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("::1", "::1"),
        ("testclient", "testclient"),
    ],
)
def test_a_subscriber_cannot_dodge_the_limits_with_another_address_of_theirs(address: str, subject: str) -> None:
    assert rules.subject_of(address) == subject


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("203.0.113.7", False), ("nonsense", False)],
)
def test_only_this_machine_is_loopback(address: str, loopback: bool) -> None:
    assert rules.is_loopback(address) is loopback


def family(**changes: object) -> RefreshFamily:
    values: dict[str, object] = {
        "id": FAMILY,
        "person_id": uuid4(),
        "generation": 3,
        "rotated_at": AT - timedelta(seconds=10),
        "expires_at": AT + timedelta(days=30),
        "ended_at": None,
    }
    return RefreshFamily(**(values | changes))


WITHIN = timedelta(seconds=30)


def test_the_good_token_rotates() -> None:
    assert rules.refresh(family(), 3, WITHIN, AT) is rules.Refresh.ROTATE


def test_a_phone_that_lost_the_answer_gets_the_same_successor_within_thirty_seconds() -> None:
    assert rules.refresh(family(), 2, WITHIN, AT) is rules.Refresh.REPEAT
    assert rules.refresh(family(), 2, WITHIN, AT + timedelta(seconds=20)) is rules.Refresh.REPEAT


def test_a_stolen_token_used_after_thirty_seconds_ends_the_family() -> None:
    assert rules.refresh(family(), 2, WITHIN, AT + timedelta(seconds=21)) is rules.Refresh.END


def test_a_token_two_generations_old_ends_the_family_at_once() -> None:
    assert rules.refresh(family(), 1, WITHIN, AT) is rules.Refresh.END


@pytest.mark.parametrize(
    ("over", "generation"),
    [({"ended_at": AT}, 3), ({"ended_at": AT}, 0), ({"expires_at": AT}, 3), ({}, 4)],
    ids=["ended", "ended, and spent", "expired", "not yet issued"],
)
def test_a_family_that_is_over_gives_nothing(over: dict[str, object], generation: int) -> None:
    with pytest.raises(RefreshInvalid):
        rules.refresh(family(**over), generation, WITHIN, AT)


@given(st.uuids(), st.integers(0, 2**32 - 1))
def test_a_refresh_token_names_its_family_and_generation(family_id: UUID, generation: int) -> None:
    token = rules.refresh_token(KEY, family_id, generation)
    assert rules.read_refresh_token(KEY, token) == (family_id, generation)
    assert len(token) <= 200


@given(st.text(max_size=200))
def test_no_made_up_text_is_a_refresh_token(text: str) -> None:
    with pytest.raises(RefreshInvalid):
        rules.read_refresh_token(KEY, text)


@given(st.integers(0, 69), st.sampled_from("ABCabc019-_=+/ "))
def test_no_changed_letter_goes_unnoticed(place: int, letter: str) -> None:
    token = rules.refresh_token(KEY, FAMILY, 7)
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        with pytest.raises(RefreshInvalid):
            rules.read_refresh_token(KEY, changed)


def test_a_token_made_with_another_key_is_refused() -> None:
    with pytest.raises(RefreshInvalid):
        rules.read_refresh_token(KEY, rules.refresh_token(b"x" * 32, FAMILY, 0))


def test_a_family_keeps_the_first_reason_why_it_ended() -> None:
    ended = family()
    rules.end(ended, "signed_out", AT)
    rules.end(ended, "reused", AT + timedelta(hours=1))
    assert (ended.ended_because, ended.ended_at) == ("signed_out", AT)
