"""The code that a coupon shows: what it is when, and how long it is taken."""

import hmac
import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.points.coupons import rules
from services.points.coupons.errors import CouponCodeMalformed
from services.points.coupons.rules import Verdict

COUPON = "10203040506070"
RFC_SECRET = b"12345678901234567890"
EDGE = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
"""The first moment of a step."""

SECRETS = st.binary(min_size=20, max_size=20)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def reference(secret: bytes, at: datetime) -> str:
    """RFC 6238 with six digits and steps of 30 s, from RFC 4226's own words."""
    digest = hmac.digest(secret, struct.pack(">Q", int(at.timestamp()) // 30), "sha1")
    [word] = struct.unpack_from(">I", digest, digest[19] & 15)
    return f"{(word & 0x7FFFFFFF) % 1_000_000:06d}"


def verdict(shown: datetime, at: datetime, secret: bytes = RFC_SECRET) -> Verdict:
    """What the code shown at one moment is worth at another."""
    return rules.judge(reference(secret, shown), secret, at)


@pytest.mark.parametrize(
    ("seconds", "otp"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_codes_are_those_of_rfc_6238(seconds: int, otp: str) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    assert rules.code(COUPON, RFC_SECRET, at) == COUPON + otp == COUPON + reference(RFC_SECRET, at)


@pytest.mark.parametrize(
    ("age", "worth"),
    [
        (timedelta(0), Verdict.RIGHT),
        (timedelta(seconds=60, microseconds=-1), Verdict.RIGHT),
        (timedelta(seconds=60), Verdict.STALE),
        (timedelta(seconds=660, microseconds=-1), Verdict.STALE),
        (timedelta(seconds=660), Verdict.WRONG),
        (timedelta(days=1), Verdict.WRONG),
        (timedelta(microseconds=-1), Verdict.WRONG),
    ],
    ids=["at once", "last moment", "a step too old", "ten minutes too old", "too old to say", "of yesterday", "early"],
)
def test_a_code_is_taken_in_its_step_and_the_next_and_known_ten_minutes_more(age: timedelta, worth: Verdict) -> None:
    assert verdict(EDGE, EDGE + age) is worth


@given(secret=SECRETS, shown=MOMENTS, seconds=st.floats(-120, 1500))
def test_what_a_code_is_worth_follows_from_its_age_alone(secret: bytes, shown: datetime, seconds: float) -> None:
    at = shown + timedelta(seconds=seconds)
    otp = reference(secret, shown)
    steps_ago = [
        age for age in range(25) if reference(secret, edge_of(at) - timedelta(seconds=30 * age)) == otp
    ]  # more than one where two steps happen to have the same digits
    if not steps_ago:
        expected = {Verdict.WRONG}
    elif steps_ago[0] <= 1:
        expected = {Verdict.RIGHT}
    else:
        left_off = edge_of(at) + timedelta(seconds=30 * (2 - steps_ago[0]))
        expected = {Verdict.STALE if at - left_off < timedelta(minutes=10) else Verdict.WRONG}
    assert {rules.judge(otp, secret, at)} == expected


def edge_of(at: datetime) -> datetime:
    return datetime.fromtimestamp(int(at.timestamp()) // 30 * 30, UTC)


@given(secret=SECRETS, at=MOMENTS)
def test_a_code_that_is_shown_is_taken_until_half_a_minute_after_it_changes(secret: bytes, at: datetime) -> None:
    _, otp = rules.read_code(rules.code(COUPON, secret, at))
    changes = rules.code_changes_at(at)
    assert timedelta(0) < changes - at <= timedelta(seconds=30)
    for moment in (at, changes, changes + timedelta(seconds=30, microseconds=-1)):
        assert rules.judge(otp, secret, moment) is Verdict.RIGHT


@pytest.mark.parametrize(
    "code",
    [
        "",
        "1",
        "1" * 19,
        "1" * 21,
        "1" * 19 + "x",
        "1" * 20 + "\n",
        " " + "1" * 19,
        "１" * 20,
        "-" + "1" * 19,
    ],
    ids=["empty", "one", "short", "long", "letter", "newline", "blank", "full width", "sign"],
)
def test_what_is_not_twenty_digits_names_the_field_and_says_nothing_of_coupons(code: str) -> None:
    with pytest.raises(CouponCodeMalformed) as refused:
        rules.read_code(code)
    assert [field.name for field in refused.value.fields] == ["body.coupon_code"]
    assert refused.value.status == 422


def test_coupons_are_named_by_fourteen_digits_that_survive_a_table_of_figures() -> None:
    ids = {rules.random_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id_) == 14 and str(int(id_)) == id_ for id_ in ids)
