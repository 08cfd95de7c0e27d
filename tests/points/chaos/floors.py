"""Nobody spends what they have not; and who is told that they have not enough, has not."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any
from uuid import UUID

from services.points.ledger.terms import AccountKey, household_wallet
from services.points.terms import LedgerName, OwnerKind
from tests.points.chaos.asks import posted_in
from tests.points.chaos.books import Books
from tests.points.chaos.records import Asked, Story
from tests.points.chaos.world import COST, RICH, World

CLOCK_SECONDS = 0.05
"""How far the clients' moments and the ledger's may be apart: it is one clock."""


def check_floors(story: Story, books: Books) -> None:
    """Nobody has spent or reserved what they did not have."""
    wallets = {account["id"] for account in books.accounts.values() if account["purpose"] == "wallet"}
    for row in books.transfers:
        if row["debit_account_id"] in wallets and row["code"] in {"adjustment", "redemption"} and not row["hold_id"]:
            assert row["debit_balance"] >= 0, row
    for asked in story.of("transfer", "batch"):
        for posted in posted_in(asked.done):
            if UUID(posted["debit"]["account_id"]) in wallets:
                assert posted["debit"]["available"] >= 0, posted
    for asked in story.of("hold"):
        if asked.done and UUID(asked.done["debit"]["account_id"]) in wallets:
            assert asked.done["debit"]["available"] >= 0, asked.done


def check_refusals(story: Story, books: Books, world: World) -> None:
    """Who was told "not enough" had not enough, at some moment while they asked. Contention is not called that."""
    rich = household_wallet(world.rich).id
    steady = {household_wallet(family).id for family in world.families}
    steady |= {AccountKey(LedgerName.STAFF, OwnerKind.PERSON, handler).id for handler in world.handlers}
    available = {id_: Available(id_, books) for id_ in steady}
    for asked in story.asked.values():
        for account, amount, beside in _said_not_enough(asked):
            assert account != rich, f"{asked.ask}: a family with some {RICH} points had not enough"
            if account in steady:
                least = available[account].least(asked.sent[0], asked.settled[0].at)
                assert least - beside < amount, f"{asked.ask}: {account} had {least} at least, and that was not enough"


def _said_not_enough(asked: Asked) -> Iterator[tuple[UUID, int, int]]:
    """Whose points were said to be too few, for how many, and how many of them went elsewhere in the same batch."""
    ask, final = asked.ask, asked.final
    if final is None:
        return
    if final.code == "insufficient_points":
        if ask.kind == "redeem":
            yield household_wallet(UUID(ask.who.partition("/")[2])).id, COST, 0
        elif ask.kind in {"transfer", "hold"}:
            yield _account(ask.body["debit"]), ask.body["amount"], 0
    if ask.kind == "batch":
        spent = Counter[UUID]()
        for move in ask.body["transfers"]:
            spent[_account(move["debit"])] += move["amount"]
        for move, result in zip(ask.body["transfers"], (asked.done or {}).get("results", ()), strict=False):
            if result["problem"] and result["problem"]["code"] == "insufficient_points":
                account = _account(move["debit"])
                yield account, move["amount"], spent[account] - move["amount"]


def _account(named: Any) -> UUID:
    if isinstance(named, str):
        return UUID(named)
    if named["owner_kind"] == "household":
        return household_wallet(UUID(named["owner_id"])).id
    owner = UUID(named["owner_id"]) if named.get("owner_id") else UUID(int=0)
    return AccountKey(LedgerName(named["ledger"]), OwnerKind(named["owner_kind"]), owner).id


class Available:
    """What an account had to spend, from moment to moment, as the database tells it afterwards."""

    def __init__(self, account: UUID, books: Books) -> None:
        steps = list(_steps(account, books))
        steps.sort(key=lambda step: step[0])
        self._moments: list[float] = []
        self._least: list[int] = []
        self._after: list[int] = []
        now = 0
        for moment, group in groupby(steps, key=lambda step: step[0]):
            changes = [change for _, change in group]
            self._moments.append(moment)
            # What was posted at one moment was posted in some order: in the worst one, what lessens it came first.
            self._least.append(now + sum(change for change in changes if change < 0))
            now += sum(changes)
            self._after.append(now)

    def least(self, begin: float, end: float) -> int:
        """The least of it between two moments."""
        first = bisect_left(self._moments, begin - CLOCK_SECONDS)
        after = bisect_left(self._moments, end + CLOCK_SECONDS)
        return min([self._after[first - 1] if first else 0, *self._least[first:after], *self._after[first:after]])


def _steps(account: UUID, books: Books) -> Iterable[tuple[float, int]]:
    for row in books.transfers:
        if row["debit_account_id"] == account:
            yield row["posted_at"].timestamp(), -row["amount"]
        if row["credit_account_id"] == account:
            yield row["posted_at"].timestamp(), row["amount"]
    for row in books.holds:
        if row["debit_account_id"] == account:
            yield row["held_at"].timestamp(), -row["amount"]
            if row["closed_at"]:
                yield row["closed_at"].timestamp(), row["amount"]
