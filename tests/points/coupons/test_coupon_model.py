"""Whatever is done to a coupon, in whatever order: it is what a small model of it says, and so are the points."""

import copy
import os
import random
from collections import Counter
from collections.abc import Awaitable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest

from chassis.core import clock
from chassis.core.beijing import BEIJING, day_of
from chassis.core.errors import DomainError
from services.points.coupons import redemption, returns, rules
from services.points.coupons.terms import CouponEventKind, CouponState
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.terms import expired, household_wallet, merchant_payable
from services.points.terms import LedgerName
from tests.points.coupons.conftest import Desk, Till
from tests.points.facts import Family
from tests.points.rewards.conftest import Household

SECONDS = timedelta(seconds=1)
LENGTH = 14
USUAL_EXAMPLES, USUAL_SEED = 12, 19_000
"""With this seed a dozen examples go everywhere."""
EXAMPLES = int(os.environ.get("BEIYUAN_COUPON_EXAMPLES") or USUAL_EXAMPLES)
SEED = int(os.environ.get("BEIYUAN_COUPON_SEED") or USUAL_SEED)

Step = tuple[object, ...]

HERE, BESIDE, THERE, STRANGE = "here", "beside", "there", "strange"
TILLS = [HERE, BESIDE, THERE, STRANGE]
"""Two stores of one merchant, another merchant that honours the coupon, and one that does not."""


@dataclass
class Model:
    """What a coupon of twelve points should be, and who has these points."""

    now: datetime
    promised: bool
    end: datetime = field(init=False)
    state: str = "effective"
    lock: tuple[str, datetime] | None = None
    used: tuple[str, str, datetime] | None = None
    """The till, the number of the use, and when."""
    past: list[str] = field(default_factory=list)
    """The numbers of uses that were undone."""
    events: list[str] = field(default_factory=lambda: ["issued"])
    merged: bool = False
    settled: date | None = None
    """The first day that is not settled with the merchants."""
    wrong: Counter[tuple[str, datetime]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        day = self.now.astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
        self.end = day + timedelta(days=2)

    @property
    def shown(self) -> str:
        """The state that anybody is told."""
        if self.state != "effective":
            return self.state
        if self.now >= self.end:
            return "expired"
        return "locked" if self.lock and self.now < self.lock[1] else "effective"

    def known_to(self, till: str) -> bool:
        return till != STRANGE

    def judged(self, till: str, shown: datetime | None) -> str:
        """What a till is told of the code that was shown at a moment; of one that never was shown, for None."""
        hour = self.now.replace(minute=0, second=0, microsecond=0)
        merchant = HERE if till == BESIDE else till
        counted = ["coupon", merchant] if self.known_to(till) else [merchant]
        if any(self.wrong[by, hour] >= (10 if by == "coupon" else 100) for by in counted):
            return "too_many_wrong_codes"
        if shown is not None and self.known_to(till):
            end = datetime.fromtimestamp(shown.timestamp() // 30 * 30 + 60, UTC)
            if self.now < end:
                return "right"
            if self.now - end < timedelta(minutes=10):
                return "coupon_code_stale"
        for by in counted:
            self.wrong[by, hour] += 1
        return "coupon_not_found"

    def usable(self, till: str | None) -> str:
        """What whoever wants it for themselves is told."""
        if till is not None and not self.known_to(till):
            return "coupon_not_found"
        shown = self.shown
        if shown == "locked" and self.lock and self.lock[0] == till:
            return "right"
        if shown in ("deactivated", "refunded"):
            return "coupon_expired"
        return "right" if shown == "effective" else f"coupon_{shown}"

    def use(self, till: str, number: str) -> None:
        self.events.append("used")
        self.state, self.lock, self.used = "used", None, (till, number, self.now)

    def returnable(self, till: str | None, named: str | None) -> str:
        """What is told to who wants to undo a use, or that one; staff come without a till."""
        own = {HERE: HERE, BESIDE: HERE, THERE: THERE}
        if till == STRANGE:
            return "coupon_not_found"
        if self.used is None or (till is not None and own[till] != own[self.used[0]]):
            return "coupon_not_used"
        if named not in (None, self.used[1]):
            return "coupon_not_used"
        if till is not None and self.now > self.used[2] + timedelta(minutes=60):
            return "return_too_late"
        return "use_settled" if self.settled and day_of(self.used[2]) < self.settled else "right"

    def undo(self) -> None:
        assert self.used is not None
        self.past.append(self.used[1])
        self.state, self.used = "effective", None
        self.events.append("returned")
        self.expire()

    def expire(self) -> None:
        if self.state == "effective" and self.now >= self.end:
            self.over("expired")

    def over(self, state: str) -> None:
        self.state, self.lock = state, None
        self.events.append(state)

    def take(self, step: Step, coupon_id: str) -> str:
        """Take a step; what whoever took it is told."""
        match step:
            case ("wait", int(seconds)):
                self.now += seconds * SECONDS
            case ("use" | "lock" as act, str(till), age):
                answer = "right" if age == "judged" else self.judged(till, self.moment(age))
                if answer == "right":
                    # A lock is not lengthened: it is refused to whoever has it, too.
                    answer = self.usable(till if act == "use" or not self.known_to(till) else None)
                if answer == "right" and act == "use":
                    self.use(till, f"{coupon_id}{len(self.events) + 1:04d}")
                elif answer == "right":
                    self.lock = (till, min(self.now + 900 * SECONDS, self.end))
                return answer
            case ("unlock", str(till)):
                answer = self.usable(till)
                self.lock = None if answer == "right" else self.lock
                return answer
            case ("return", till, str(which)):
                answer = self.returnable(till if isinstance(till, str) else None, self.named(which, coupon_id))
                if answer == "right":
                    self.undo()
                return answer
            case ("guess", int(times)):
                return [self.judged(HERE, None) for _ in range(times)][-1]
            case ("refund" | "deactivate" as act,):
                answer = self.usable(None)
                if answer == "right":
                    self.over({"refund": "refunded", "deactivate": "deactivated"}[act])
                return answer
            case ("expire",):
                self.expire()
            case ("merge",):
                self.merged = True
            case ("settle",):
                self.settled = day_of(self.now) + timedelta(days=1)
        return "right"

    def moment(self, age: object) -> datetime | None:
        """When a code was shown that is so old; one that never was, for None."""
        return self.now - age * SECONDS if isinstance(age, int) else None

    def named(self, which: str, coupon_id: str) -> str | None:
        """The number by which a use is named: of the present one, of one that was undone before, or none."""
        none = f"{coupon_id}0000"
        return {"this": self.used[1] if self.used else none, "any": None, "past": self.past[-1] if self.past else none}[
            which
        ]

    @property
    def points(self) -> tuple[int, int, int, int]:
        """What the family, the two merchants, and nobody have of the twelve points."""
        back = self.state == "refunded" or (self.state == "expired" and self.promised)
        gone = self.state == "deactivated" or (self.state == "expired" and not self.promised)
        here = self.used is not None and self.used[0] != THERE
        there = self.used is not None and self.used[0] == THERE
        return 12 * back, 12 * here, 12 * there, 12 * gone


@dataclass
class World:
    """The same coupon in the service."""

    desk: Desk
    id: str
    secret: bytes
    family: Household
    joined: Household
    tills: dict[str, Till]
    lost: int

    def otp(self, shown: datetime | None) -> str:
        """The digits that were shown at a moment; for None, some that never were lately."""
        if shown is not None:
            return rules.read_code(rules.code(self.id, self.secret, shown))[1]
        good = {rules.code(self.id, self.secret, clock.now() - 30 * step * SECONDS) for step in range(-1, 25)}
        return next(f"{number:06d}" for number in range(30) if f"{self.id}{number:06d}" not in good)

    async def points(self, owner: Household) -> tuple[int, int, int, int]:
        """What the family, the two merchants, and nobody have of the twelve points."""
        merchants = [merchant_payable(self.tills[till].merchant.id) for till in (HERE, THERE)]
        keys = [household_wallet(owner.id), *merchants, expired(LedgerName.CIVIC)]
        async with self.desk.db.transaction() as session:
            accounts = await accounts_by_id(session, [key.id for key in keys])
        family, here, there, lost = [accounts[key.id].balance if key.id in accounts else 0 for key in keys]
        return family, here, there, lost - self.lost


STEPS: list[Step] = [
    *[("wait", seconds) for seconds in (30, 899, 901, 3599, 3601, 39580, 39580, 86400, 86400)],
    # How long ago the code was shown, in seconds; `judged`: before, by a token; None: it never was.
    *[("use", HERE, age) for age in ("judged", "judged", 0, 29, 45, 61, 700, None)],
    *[("use", till, age) for till in (BESIDE, THERE) for age in ("judged", 0)],
    *[("use", STRANGE, age) for age in ("judged", 0)],
    *[("lock", till, age) for till in (HERE, BESIDE, THERE) for age in ("judged", 0)],
    *[("lock", STRANGE, 0), ("lock", HERE, 61), ("lock", HERE, None)],
    *[("unlock", till) for till in TILLS],
    *[("return", till, which) for till in (HERE, BESIDE, THERE, None) for which in ("this", "any")],
    *[("return", till, "past") for till in (HERE, None)],
    *[("return", STRANGE, "any"), ("guess", 1), ("guess", 11)],
    *[("refund",), ("deactivate",), ("expire",), ("expire",), ("merge",), ("settle",)],
]


TO_THE_LAST_HOUR: Step = ("wait", 35 * 3600)
WEIGHTS: dict[str, float] = {
    "wait": 6,
    "use": 5,
    "return": 4,
    "lock": 3,
    "unlock": 2,
    "guess": 1,
    "expire": 2,
    "merge": 1,
}
WEIGHTS |= {"refund": 0.5, "deactivate": 0.5, "settle": 0.5}


async def asked(model: Model, world: World, step: Step) -> str:
    """What the service answers to a step that the model has not taken yet."""
    desk, id_ = world.desk, world.id
    match step:
        case ("use" | "lock" as act, str(till), age):
            otp = None if age == "judged" else world.otp(model.moment(age))
            return await told((desk.take if act == "use" else desk.lock)(world.tills[till], id_, otp=otp))
        case ("unlock", str(till)):
            return await told(desk.unlock(world.tills[till], id_))
        case ("return", till, str(which)):
            by = world.tills[till] if isinstance(till, str) else None
            return await told(desk.give_back(by, id_, model.named(which, id_)))
        case ("guess", int(times)):
            code = id_ + world.otp(None)
            return [await told(desk.judge(world.tills[HERE].merchant, code)) for _ in range(times)][-1]
        case ("refund",):
            return await told(desk.refund(id_))
        case ("deactivate",):
            return await told(desk.deactivate(id_))
        case ("expire",):
            await desk.expire()
        case ("merge",) if not model.merged:
            await desk.points.tell(Family(id=world.family.id).dissolved(2, world.joined.id))
    return "right"


async def told(action: Awaitable[object]) -> str:
    """What an action is answered with."""
    try:
        await action
    except DomainError as refusal:
        return refusal.code
    return "right"


async def compare(model: Model, world: World) -> None:
    """The state that the family sees, what happened, and who has the twelve points."""
    desk, owner = world.desk, world.joined if model.merged else world.family
    answer = (await desk.show(owner, world.id)).json()
    assert answer["state"] == model.shown
    assert (answer["code"] is not None) == (model.shown in ("effective", "locked"))
    events = await desk.events(world.id)
    assert [event.kind for event in events] == model.events
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert await world.points(owner) == model.points


async def begun(desk: Desk, *, promised: bool) -> World:
    """A coupon that was just issued. Those of earlier examples are over."""
    await desk.expire()
    here = Till()
    tills = {HERE: here, BESIDE: here.beside(), THERE: Till(), STRANGE: Till()}
    honouring = [here.merchant.id, tills[THERE].merchant.id]
    reward = await desk.reward(merchant_ids=honouring, valid_days=1, refund_on_expiry=promised)
    family, joined = await desk.household(12), await desk.household()
    await desk.points.tell(
        Family(id=joined.id).changed(1, joined.person_id), Family(id=family.id).changed(1, family.person_id)
    )
    coupon = str((await desk.coupon(family, reward))["id"])
    return World(desk, coupon, await desk.secret(coupon), family, joined, tills, await desk.lost())


def steps_of(example: int) -> Iterator[Step]:
    """The steps of an example, always the same ones: half of them drawn from what changes something now.

    Half of the examples begin an hour before the coupon ends; once it is over there are three more steps.
    """
    chance, model, over = random.Random(SEED + example), started(example), 0
    if example // 2 % 2:
        model.take(TO_THE_LAST_HOUR, "1" * 14)
        yield TO_THE_LAST_HOUR
    for _ in range(LENGTH):
        kind = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        steps = [step for step in STEPS if step[0] == kind]
        if chance.random() < 0.5:
            steps = [step for step in steps if changes(model, step)] or steps
        step = chance.choice(steps)
        model.take(step, "1" * 14)
        yield step
        over += model.state not in ("effective", "used")
        if over > 3:
            return


def changes(model: Model, step: Step) -> bool:
    """Whether a step does something to the coupon."""
    tried = copy.deepcopy(model)
    return tried.take(step, "1" * 14) == "right" and (tried.state, tried.lock) != (model.state, model.lock)


def started(example: int) -> Model:
    """A ledger's time never runs backwards, so each example has days of its own, all of them alike."""
    day = clock.now().astimezone(BEIJING).replace(hour=12, minute=0, second=10, microsecond=0)
    return Model((day + (1 + example) * timedelta(days=20)).astimezone(UTC), promised=example % 2 == 0)


@pytest.mark.skipif((EXAMPLES, SEED) != (USUAL_EXAMPLES, USUAL_SEED), reason="other examples may not")
def test_the_examples_go_everywhere() -> None:
    """Through every state, to every end, and to every refusal."""
    states, answers, events = set[str](), set[str](), set[str]()
    for example in range(EXAMPLES):
        model = started(example)
        for step in steps_of(example):
            states.add(model.shown)
            answers.add(model.take(step, "1" * 14))
        events |= set(model.events)
    assert events == set(CouponEventKind)
    assert states == set(CouponState)
    refusals = {"not_found", "code_stale", "used", "locked", "expired", "not_used"}
    others = {"right", "too_many_wrong_codes", "return_too_late", "use_settled"}
    assert answers == others | {f"coupon_{refusal}" for refusal in refusals}


@pytest.mark.parametrize("example", range(EXAMPLES))
async def test_a_coupon_goes_through_its_states_as_the_model_does(
    desk: Desk, example: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = started(example)
    with clock.frozen(model.now), pytest.MonkeyPatch.context() as patch:
        # Of codes drawn at random an old one may be that of today.
        patch.setattr(redemption, "secrets", SimpleNamespace(token_bytes=bytes))
        world = await begun(desk, promised=model.promised)

    async def settled_before(_: object, merchant_ids: Collection[UUID]) -> dict[UUID, date]:
        return dict.fromkeys(merchant_ids, model.settled) if model.settled else {}

    monkeypatch.setattr(returns, "settled_before", settled_before)
    for step in steps_of(example):
        with clock.frozen(model.now):
            answer = await asked(model, world, step)
            assert answer == model.take(step, world.id), step
        with clock.frozen(model.now):
            await compare(model, world)
    with clock.frozen(model.now):
        await desk.check()
