"""One machine's wrong clock must not cost everybody their points: what is posted is dated by what was posted last."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.core import clock
from chassis.core.beijing import BEIJING
from chassis.core.errors import DomainError
from chassis.core.ids import new_id
from services.points.ledger import overdue
from services.points.ledger.actions import post
from services.points.ledger.core.commands import Transfer
from services.points.ledger.errors import InsufficientPoints
from services.points.ledger.queries import CLOCKS_APART
from services.points.ledger.terms import AccountKey, TransferCode, household_wallet, issuance
from services.points.terms import LedgerName
from tests.points.conftest import Points
from tests.points.postings.desk import HOLDS, TRANSFERS, Desk, gift, taking


async def test_a_machine_whose_clock_is_far_ahead_posts_nothing_and_costs_nobody_their_points(
    own_points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, home, right = Desk(own_points), new_id(), clock.now
    await desk.give(home, 100)
    lapses_at = (clock.now() + timedelta(days=30)).isoformat()
    held = await desk.done(HOLDS, taking(home, 40, lapses_at=lapses_at))
    with monkeypatch.context() as wrong:
        wrong.setattr(clock, "now", lambda: right() + timedelta(days=900))
        runtime = own_points.town.runtime("points")
        for run in (overdue.expire, overdue.lapse):
            with pytest.raises(DomainError) as refused:
                await run(runtime, clock.now())
            assert refused.value.status == 503
    await desk.done(f"{HOLDS}/{held['hold']['id']}/post", {"reason": "活动"})
    await desk.done(TRANSFERS, taking(home, 60))
    assert await desk.balance(home) == (0, 0)
    await own_points.check()


async def test_a_clock_that_is_ahead_is_told_to_come_again_and_one_that_is_a_little_off_is_served(
    own_points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, home, right = Desk(own_points), new_id(), clock.now

    async def posted_with(ahead: timedelta) -> int:
        with monkeypatch.context() as other:
            other.setattr(clock, "now", lambda: right() + ahead)
            return (await desk.post(TRANSFERS, gift(home, 1))).status_code

    assert await posted_with(CLOCKS_APART * 2) == 503
    assert await desk.balance_or_none(home) is None
    assert await posted_with(CLOCKS_APART / 2) == 201
    assert await posted_with(-timedelta(hours=1)) == 201
    transfers = await desk.items(TRANSFERS, ledger=LedgerName.CIVIC)
    moments = [transfer["posted_at"] for transfer in transfers]
    assert moments == sorted(moments, reverse=True)


async def test_a_machine_whose_clock_is_behind_lets_nobody_spend_what_has_expired(own_points: Points) -> None:
    home, source, new_year = (
        household_wallet(new_id()),
        issuance(LedgerName.CIVIC),
        datetime(2028, 1, 1, tzinfo=BEIJING),
    )

    async def move(debit: AccountKey, credit: AccountKey, amount: int, at: datetime) -> None:
        with clock.frozen(at.astimezone(UTC)):
            transfer = Transfer(debit, credit, amount, TransferCode.ADJUSTMENT, f"test/{new_id()}", clock.now())
            await post(session, transfer)

    async with own_points.db.transaction() as session:
        for _ in range(2):
            await move(source, home, 10, datetime(2026, 11, 23, tzinfo=BEIJING))
        await move(source, household_wallet(new_id()), 1, new_year)
        with pytest.raises(InsufficientPoints):  # ten would be enough, and of twenty none is left
            await move(home, source, 5, new_year - timedelta(minutes=1))
    await own_points.check()
