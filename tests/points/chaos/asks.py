"""What is asked for: drawn at random, over few accounts, so that whatever can get in one another's way does."""

import random
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from chassis.core import clock
from services.points.ledger.terms import household_wallet
from tests.points.chaos.world import World
from tests.points.facts import Attendance, Family, Order, Told
from tests.points.postings.desk import (
    HOLDS,
    ISSUANCE,
    POSTINGS,
    STAFF_ISSUANCE,
    TRANSFERS,
    staff_wallet,
    wallet,
)

MESSAGES = "/internal/messages"
USE = "/merchant/v1/coupons/use"
REASON = "风暴中的记账"
ABOVE_LIMIT = 1500
"""More than one administrator may post alone."""

KINDS = {
    "transfer": 36,
    "batch": 8,
    "hold": 12,
    "post": 7,
    "void": 4,
    "reverse": 8,
    "propose": 2,
    "approve": 3,
    "redeem": 6,
    "use": 5,
    "facts": 6,
    "join": 1,
}
"""How often what is asked for."""


@dataclass(frozen=True)
class Ask:
    """A request as it is sent, again and again if need be. Those of one key are the same to the service."""

    id: str
    kind: str
    path: str
    body: Any
    who: str
    key: str | None

    @property
    def line(self) -> dict[str, Any]:
        """As it is written down."""
        return {"ask": asdict(self)}


class Ideas:
    """What comes to the mind of one client, from what it has learnt."""

    def __init__(self, world: World, number: int, rng: random.Random) -> None:
        self.world, self.rng = world, rng
        self._number, self._count = number, 0
        self._me = f"admin/{number % len(world.admins)}"
        self._other = f"admin/{(number + 1) % len(world.admins)}"
        self.transfers: list[str] = []
        self.holds: list[str] = []
        self.proposals: list[str] = []
        self.coupons: list[str] = []
        self._withdrawable: list[tuple[Attendance, Told]] = []
        self._joining = list(world.joining) if number == 0 else []

    def draw(self) -> Ask | None:
        """Something to ask for; None where what came to mind is not possible yet."""
        [kind] = self.rng.choices(list(KINDS), list(KINDS.values()))
        ask: Ask | None = getattr(self, f"_{kind}")()
        return ask

    def other_body(self, ask: Ask) -> Ask:
        """Something else under the same key."""
        body = ask.body | {"reason": f"{REASON} {self._number}.{self._count}"}
        return replace(self._ask(ask.kind, ask.path, body, who=ask.who), key=ask.key)

    def same_reference(self, ask: Ask) -> Ask:
        """The same once more under another key: the reference is the same, too, where it bears one."""
        return self._ask(ask.kind, ask.path, ask.body, who=ask.who)

    def learn(self, ask: Ask, status: int, body: Any) -> None:
        """From what was answered to something that was done, or waits for another administrator."""
        if status == 202:
            self.proposals.append(body["id"])
        elif ask.kind == "hold":
            self.holds.append(body["hold"]["id"])
        elif ask.kind == "redeem":
            self.coupons.append(body["code"])
        else:
            self.transfers += [posted["id"] for posted in posted_in(body)]

    def _ask(self, kind: str, path: str, body: Any, *, who: str = "", keyed: bool = True) -> Ask:
        self._count += 1
        id_ = f"{self._number}.{self._count}"
        return Ask(id_, kind, path, body, who or self._me, f"key-{self.world.seed}-{id_}" if keyed else None)

    def _reference(self, further: object = "") -> str:
        return f"storm-{self._number}.{self._count + 1}{further}"

    def _wallet(self) -> Any:
        family = self.rng.choice(self.world.wallets)
        return str(household_wallet(family).id) if self.rng.random() < 0.5 else wallet(family)

    def _move(self, further: object = "") -> dict[str, Any]:
        """Points given, taken, or passed on."""
        rng, world = self.rng, self.world
        way = rng.choices(["give", "take", "pass", "give staff", "take staff"], [28, 32, 28, 6, 6])[0]
        debit, credit = self._wallet(), self._wallet()
        match way:
            case "give":
                debit = ISSUANCE
            case "take":
                credit = ISSUANCE
            case "give staff":
                debit, credit = STAFF_ISSUANCE, staff_wallet(rng.choice(world.handlers))
            case "take staff":
                debit, credit = staff_wallet(rng.choice(world.handlers)), STAFF_ISSUANCE
        reference = self._reference(further)
        return {"debit": debit, "credit": credit, "amount": rng.randint(1, 40), "reference": reference}

    def _transfer(self) -> Ask:
        return self._ask("transfer", TRANSFERS, self._move() | {"reason": REASON})

    def _batch(self) -> Ask:
        moves = [self._move(f"-{n}") for n in range(self.rng.randint(1, 12))]
        for move in moves[:-1]:
            move["linked"] = self.rng.random() < 0.3
        body = {"atomic": self.rng.random() < 0.4, "reason": REASON, "transfers": moves}
        return self._ask("batch", f"{TRANSFERS}/batch", body)

    def _hold(self) -> Ask:
        seconds = self.rng.choice([self.rng.uniform(0.1, 2), 600])
        lapses_at = (clock.now() + timedelta(seconds=seconds)).isoformat()
        return self._ask("hold", HOLDS, self._move() | {"lapses_at": lapses_at, "reason": REASON})

    def _post(self) -> Ask | None:
        if not self.holds:
            return None
        amount = self.rng.choice([None, self.rng.randint(1, 20)])
        return self._ask("post", f"{HOLDS}/{self._recent(self.holds)}/post", {"amount": amount, "reason": REASON})

    def _void(self) -> Ask | None:
        if not self.holds:
            return None
        return self._ask("void", f"{HOLDS}/{self._recent(self.holds)}/void", {"reason": REASON})

    def _reverse(self) -> Ask | None:
        if not self.transfers:
            return None
        amount = self.rng.choice([None, self.rng.randint(1, 10)])
        body = {"amount": amount, "reference": self._reference(), "reason": REASON}
        return self._ask("reverse", f"{TRANSFERS}/{self._recent(self.transfers)}/reverse", body)

    def _propose(self) -> Ask:
        move = {"debit": wallet(self.world.rich), "credit": ISSUANCE, "amount": ABOVE_LIMIT}
        return self._ask("propose", TRANSFERS, move | {"reference": self._reference(), "reason": REASON})

    def _approve(self) -> Ask | None:
        if not self.proposals:
            return None
        path = f"{POSTINGS}/{self._recent(self.proposals)}/approve"
        return self._ask("approve", path, {}, who=self._other)

    def _redeem(self) -> Ask:
        family = self.rng.choice([*self.world.families, self.world.rich])
        return self._ask("redeem", f"/api/points/rewards/{self.world.reward_id}/redeem", {}, who=f"family/{family}")

    def _use(self) -> Ask | None:
        if not self.coupons:
            return None
        body = {
            "coupon_code": self._recent(self.coupons),
            "store_id": "store-1",
            "use_time": clock.now().isoformat(timespec="seconds"),
            "out_request_no": f"storm-{self._number}-{self._count}",
        }
        return self._ask("use", USE, body, who="till", keyed=False)

    def _facts(self) -> Ask:
        rng = self.rng
        if self._withdrawable and rng.random() < 0.3:
            attendance, verified = self._withdrawable.pop(rng.randrange(len(self._withdrawable)))
            return self._told("facts", attendance.withdrawn(verified))
        if rng.random() < 0.5:
            return self._told("facts", *Order(at=clock.now()).handled(rng.choice(self.world.handlers)))
        attendance = Attendance(household_id=rng.choice(self.world.wallets), at=clock.now())
        verified = attendance.verified(rng.choice([30, 60, 90]))
        self._withdrawable.append((attendance, verified))
        return self._told("facts", verified)

    def _join(self) -> Ask | None:
        if not self._joining:
            return None
        old, new = self._joining.pop()
        return self._told("join", Family(id=old, at=clock.now()).dissolved(2, new))

    def _told(self, kind: str, *told: Told) -> Ask:
        return self._ask(kind, MESSAGES, [each.envelope for each in told], who=told[0].source, keyed=False)

    def _recent(self, known: list[str]) -> str:
        return self.rng.choice(known[-20:])


def posted_in(body: Any) -> list[dict[str, Any]]:
    """The transfers that an answer tells of."""
    if not isinstance(body, dict):
        return []
    if "sequence" in body:
        return [body]
    items = [item for item in body.get("results", ()) if "transfer" in item] if "hold" not in body else [body]
    return [item["transfer"] for item in items if item["transfer"]]


def held_in(body: Any) -> list[dict[str, Any]]:
    """The holds that an answer tells of."""
    if not isinstance(body, dict) or "sequence" in body:
        return []
    items = body.get("results", ()) if "hold" not in body else [body]
    return [item["hold"] for item in items if item.get("hold")]
