"""The code at the venue: which is right at which moment, when codes are taken, and how many tries there are."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.core import clock
from chassis.core.ids import new_id
from services.events.activities.errors import ActivityOver
from services.events.activities.tables import Activity
from services.events.attendance import rules
from services.events.attendance.errors import TooEarly, TooManyVenueCodes
from services.events.attendance.tables import VenueTries
from services.events.terms import ActivityState

KEY = bytes(range(32))
STARTS = datetime(2026, 5, 16, 1, tzinfo=UTC)
ENDS = STARTS + timedelta(hours=2)
A_MOMENT = timedelta(microseconds=1)
MOMENTS = st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def shown_at(at: datetime, key: bytes = KEY) -> str:
    return rules.venue_code(key, rules.step_of(at))


def activity(state: ActivityState = ActivityState.OPEN) -> Activity:
    return Activity(id=new_id(), state=state, starts_at=STARTS, ends_at=ENDS, ended_at=None)


def test_codes_are_those_of_rfc_6238() -> None:
    """Its appendix B has eight digits for SHA-256 at 59 s, in the second step of 30 s: the last six are ours."""
    key = b"12345678901234567890123456789012"
    assert rules.venue_code(key, 1) == "119246"
    assert rules.venue_code(key, 0x23523EC) == "084774"


def test_a_code_is_six_digits_and_changes_every_fifteen_seconds() -> None:
    at = STARTS.replace(second=15)
    assert rules.step_of(at) == rules.step_of(at + timedelta(seconds=15) - A_MOMENT)
    assert rules.step_of(at + timedelta(seconds=15)) == rules.step_of(at) + 1
    assert rules.step_of(at - A_MOMENT) == rules.step_of(at) - 1
    assert rules.step_ends_at(at) == at + timedelta(seconds=15)
    assert rules.step_ends_at(at + timedelta(seconds=15) - A_MOMENT) == at + timedelta(seconds=15)
    codes = {shown_at(at + timedelta(seconds=15 * n)) for n in range(50)}
    assert len(codes) > 45
    assert all(len(code) == 6 and code.isdecimal() for code in codes)


@given(at=MOMENTS, key=st.binary(min_size=32, max_size=32), step=st.integers(-30, 30))
def test_the_code_of_this_step_and_its_neighbours_is_right_and_no_other(at: datetime, key: bytes, step: int) -> None:
    now = rules.step_of(at)
    near = {rules.venue_code(key, now + n) for n in (-1, 0, 1)}
    offered = rules.venue_code(key, now + step)
    assert rules.is_right(key, offered, at) == (offered in near)
    if abs(step) <= 1:
        assert rules.is_right(key, offered, at)


@pytest.mark.parametrize(
    ("late", "right"),
    [
        (timedelta(), True),
        (timedelta(seconds=15), True),
        (timedelta(seconds=30) - A_MOMENT, True),
        (timedelta(seconds=30), False),
        (timedelta(seconds=60), False),
        (-A_MOMENT, True),
        (timedelta(seconds=-15), True),
        (timedelta(seconds=-15) - A_MOMENT, False),
    ],
    ids=str,
)
def test_a_code_is_taken_for_one_step_before_and_after_it_is_shown_to_the_moment(late: timedelta, right: bool) -> None:
    shown = STARTS.replace(second=30)
    assert rules.is_right(KEY, shown_at(shown), shown + late) is right


def test_the_codes_of_two_activities_have_nothing_in_common() -> None:
    one, other = secrets.token_bytes(32), secrets.token_bytes(32)
    times = [STARTS + timedelta(seconds=15 * n) for n in range(200)]
    assert sum(shown_at(at, one) == shown_at(at, other) for at in times) < 3


@pytest.mark.parametrize(
    ("at", "refusal"),
    [
        (STARTS - timedelta(minutes=30) - A_MOMENT, TooEarly),
        (STARTS - timedelta(minutes=30), None),
        (STARTS, None),
        (ENDS, None),
        (ENDS + timedelta(minutes=30) - A_MOMENT, None),
        (ENDS + timedelta(minutes=30), ActivityOver),
    ],
    ids=["just-too-early", "opens", "start", "end", "just-before-it-is-over", "over"],
)
def test_scans_are_taken_from_half_an_hour_before_until_half_an_hour_after(
    at: datetime, refusal: type[Exception] | None
) -> None:
    for state in (ActivityState.OPEN, ActivityState.CLOSED):
        if refusal is None:
            rules.check_takes_scans(activity(state), at)
        else:
            with pytest.raises(refusal):
                rules.check_takes_scans(activity(state), at)


@pytest.mark.parametrize("state", [ActivityState.ENDED, ActivityState.SETTLED, ActivityState.CANCELLED])
def test_no_scan_is_taken_once_the_activity_has_ended(state: ActivityState) -> None:
    with pytest.raises(ActivityOver):
        rules.check_takes_scans(activity(state), STARTS)


def test_ten_wrong_codes_are_looked_at_in_a_clock_hour_and_then_none() -> None:
    at = STARTS + timedelta(minutes=59, seconds=30)
    tries = VenueTries(activity_id=new_id(), household_id=new_id(), hour=clock.hour_of(at), wrong=9)
    rules.check_may_try(tries, at)
    tries.wrong = 10
    with pytest.raises(TooManyVenueCodes) as refused:
        rules.check_may_try(tries, at)
    assert refused.value.headers["Retry-After"] == "30"
    assert clock.hour_of(at + timedelta(seconds=30)) != tries.hour
