"""Whatever is done to a coupon, in whatever order: it is what a small model of it says, and so are the points."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.errors import DomainError
from services.points.coupons import redemption, rules
from tests.points.facts import Family
from tests.points.rewards.conftest import Household, Merchant, Shop

ISSUED = datetime(2026, 3, 2, 4, 0, 10, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 4, tzinfo=BEIJING)
"""The end of a coupon that was issued then and is good for one day more."""

SECONDS = timedelta(seconds=1)


@dataclass
class Model:
    """What a coupon of twelve points should be. Moments are counted in steps of thirty seconds."""

    now: datetime = ISSUED
    used: bool = False
    merged: bool = False
    wrong: Counter[tuple[object, datetime]] = field(default_factory=Counter)

    @property
    def state(self) -> str:
        return "used" if self.used else "expired" if self.now >= MIDNIGHT else "effective"

    def judged(self, merchant: Merchant, honours: bool, shown: datetime | None) -> str:
        """What a till is told of the code that was shown at a moment; of one that never was shown, for None."""
        hour = self.now.replace(minute=0, second=0, microsecond=0)
        if self.wrong["coupon", hour] >= 10 or self.wrong[merchant.id, hour] >= 100:
            return "too_many_wrong_codes"
        if shown is not None and honours:
            end = datetime.fromtimestamp(shown.timestamp() // 30 * 30 + 60, UTC)
            if self.now < end:
                return "right"
            if self.now - end < timedelta(minutes=10):
                return "coupon_code_stale"
        self.wrong["coupon", hour] += 1
        self.wrong[merchant.id, hour] += 1
        return "coupon_not_found"

    def spent(self, honours: bool) -> str:
        """What a till is told that uses the coupon, its code having been right."""
        if not honours:
            return "coupon_not_found"
        if self.state != "effective":
            return f"coupon_{self.state}"
        self.used = True
        return "right"


@dataclass
class Coupon:
    """The same coupon in the service."""

    shop: Shop
    id: str
    secret: bytes
    family: Household
    joined: Household
    here: Merchant
    stranger: Merchant

    def code(self, shown: datetime | None) -> str:
        if shown is not None:
            return rules.code(self.id, self.secret, shown)
        good = {rules.code(self.id, self.secret, clock.now() - 30 * step * SECONDS) for step in range(-1, 25)}
        return next(code for number in range(30) if (code := f"{self.id}{number:06d}") not in good)


async def told(action: Callable[[], object]) -> str:
    """What an action is answered with."""
    try:
        await action()  # type: ignore[misc]
    except DomainError as refusal:
        return refusal.code
    return "right"


STEPS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 19, 20, 49, 50, 700, 3600, 86_400])),
    st.tuples(st.just("use known"), st.booleans()),
    st.tuples(st.just("use"), st.booleans(), st.sampled_from([0, 30, 60, 90, 660, 700, None])),
    st.tuples(st.just("guess"), st.integers(1, 11)),
    st.tuples(st.just("merge")),
)


async def take(step: tuple[object, ...], model: Model, coupon: Coupon) -> None:
    """Take a step in both worlds; they must answer alike."""
    shop = coupon.shop
    match step:
        case ("wait", int(seconds)):
            model.now += seconds * SECONDS
        case ("use known", bool(honours)):
            till = coupon.here if honours else coupon.stranger
            assert await told(lambda: shop.use_known(till, coupon.id)) == model.spent(honours)
        case ("use", bool(honours), age):
            till = coupon.here if honours else coupon.stranger
            shown = model.now - age * SECONDS if isinstance(age, int) else None
            expected = model.judged(till, honours, shown)
            if expected == "right":
                expected = model.spent(honours)
            assert await told(lambda: shop.use(till, coupon.code(shown))) == expected
        case ("guess", int(times)):
            for _ in range(times):
                expected = model.judged(coupon.here, True, None)
                assert await told(lambda: shop.judge(coupon.here, coupon.code(None))) == expected
        case ("merge",) if not model.merged:
            model.merged = True
            await shop.points.tell(Family(id=coupon.family.id).dissolved(2, coupon.joined.id))


async def compare(model: Model, coupon: Coupon) -> None:
    """The state that the family sees, and who has the twelve points."""
    owner = coupon.joined if model.merged else coupon.family
    answer = (await coupon.shop.show(owner, coupon.id)).json()
    assert answer["state"] == model.state
    assert (answer["code"] is not None) == (model.state == "effective")
    assert await coupon.shop.payable(coupon.here) == (12 if model.used else 0)
    assert await coupon.shop.payable(coupon.stranger) == 0


async def issued(shop: Shop) -> Coupon:
    here = Merchant()
    reward = await shop.reward(here, valid_days=1)
    family, joined = await shop.household(12), await shop.household()
    await shop.points.tell(
        Family(id=joined.id).changed(1, joined.person_id), Family(id=family.id).changed(1, family.person_id)
    )
    coupon_id = (await shop.coupon(family, reward))["id"]
    return Coupon(shop, coupon_id, await shop.secret(coupon_id), family, joined, here, Merchant())


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=1, max_size=10))
async def test_a_coupon_goes_through_its_states_as_the_model_does(shop: Shop, steps: list[tuple[object, ...]]) -> None:
    model = Model()
    with clock.frozen(model.now), pytest.MonkeyPatch.context() as patch:
        # Of codes drawn at random an old one may be that of today.
        patch.setattr(redemption, "secrets", SimpleNamespace(token_bytes=bytes))
        coupon = await issued(shop)
    for step in steps:
        with clock.frozen(model.now):
            await take(step, model, coupon)
        with clock.frozen(model.now):
            await compare(model, coupon)
