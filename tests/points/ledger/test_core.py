"""The ledger's rules, each by hand once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.points.ledger import errors
from services.points.ledger.core.book import run
from services.points.ledger.core.commands import Award, ExpireLot, LapseHold, Linked, Merge, TakeBack, VoidHold
from services.points.ledger.core.lots import expiry_of
from services.points.ledger.core.state import Result
from services.points.ledger.terms import HoldState, TransferCode, issuance
from services.points.terms import LedgerName
from tests.points.ledger.books import (
    CAP,
    CLERK,
    COUPONS,
    EXPIRED,
    LI,
    NEXT_SPRING,
    NURSE,
    SPRING,
    TOO_LATE,
    WANG,
    ZHAO,
    Ledger,
    check_rows,
    new_state,
    posted,
)

A_DAY = timedelta(days=1)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    ledger = Ledger()
    yield ledger
    check_rows(ledger.book.changes, ledger.state)


@pytest.mark.parametrize(
    ("posted_at", "expires_at"),
    [
        pytest.param(SPRING, datetime(2027, 12, 31, 16, tzinfo=UTC), id="spring"),
        pytest.param(datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC), datetime(2027, 12, 31, 16, tzinfo=UTC), id="eve"),
        pytest.param(datetime(2026, 12, 31, 16, tzinfo=UTC), datetime(2028, 12, 31, 16, tzinfo=UTC), id="new year"),
    ],
)
def test_points_last_until_the_end_of_the_following_year_of_beijing(posted_at: datetime, expires_at: datetime) -> None:
    assert expiry_of(posted_at) == expires_at


def test_a_transfer_tells_both_sides(ledger: Ledger) -> None:
    ledger.earn(LI, 30)
    result = ledger.ask(ledger.move(LI, WANG, 12))
    transfer = posted(result)
    assert (transfer.sequence, transfer.posted_at) == (2, SPRING)
    assert (transfer.debit_version, transfer.debit_balance) == (2, 18)
    assert (transfer.credit_version, transfer.credit_balance) == (1, 12)
    assert result.debit == (LI.id, 18, 18, 2)
    assert result.credit == (WANG.id, 12, 12, 1)


def test_spending_takes_the_first_to_expire_and_says_from_where(ledger: Ledger) -> None:
    old = ledger.earn(LI, 10)
    ledger.state.at = NEXT_SPRING
    new = ledger.earn(LI, 10)
    spent = ledger.spend(LI, 15)
    assert ledger.allocated(spent.id) == {old.id: -10, new.id: -5}


def test_what_is_wrong_with_a_transfer_is_said_and_nothing_happens(ledger: Ledger) -> None:
    ledger.earn(LI, 30)
    used = ledger.spend(LI, 1).reference
    good = ledger.move(LI, WANG, 10)
    ledger.refuses(errors.AmountNotPositive, replace(good, amount=0))
    ledger.refuses(errors.AmountTooLarge, replace(good, amount=2**53))
    ledger.refuses(errors.AccountNotFound, replace(good, credit=UUID(int=77)))
    ledger.refuses(errors.LedgersMixed, replace(good, credit=NURSE))
    ledger.refuses(errors.SameAccount, replace(good, credit=LI.id))
    ledger.refuses(errors.ReferenceUsed, replace(good, reference=used))
    ledger.refuses(errors.InsufficientPoints, replace(good, amount=30))
    ledger.ask(good)
    ledger.ask(replace(ledger.move(issuance(LedgerName.CIVIC), WANG, 1), amount=2**53 - 1))


def test_of_several_faults_the_first_is_named(ledger: Ledger) -> None:
    used = ledger.earn(LI, 30).reference
    ledger.refuses(errors.AmountNotPositive, replace(ledger.move(LI, UUID(int=77), 0), reference=used))
    ledger.refuses(errors.AccountNotFound, replace(ledger.move(LI, UUID(int=77), 50), reference=used))
    ledger.refuses(errors.SameAccount, replace(ledger.move(LI, LI, 50), reference=used))
    ledger.refuses(errors.ReferenceUsed, replace(ledger.move(LI, WANG, 50), reference=used))


def test_expired_points_cannot_be_spent_though_nobody_swept_them(ledger: Ledger) -> None:
    old = ledger.earn(LI, 10)
    ledger.state.at = NEXT_SPRING
    ledger.earn(LI, 10)
    ledger.state.at = TOO_LATE - timedelta(microseconds=1)
    ledger.refuses(errors.InsufficientPoints, ledger.move(LI, COUPONS, 21))
    ledger.state.at = TOO_LATE
    ledger.refuses(errors.InsufficientPoints, ledger.move(LI, COUPONS, 11))
    assert ledger.lot(old) == (10, 0), "a refusal undoes its sweep too"
    ledger.spend(LI, 10)
    [sweep, _] = ledger.transfers[-2:]
    assert (sweep.code, sweep.amount, sweep.reference) == (TransferCode.EXPIRY, 10, f"expiry/{old.id}")
    assert sweep.occurred_at == TOO_LATE
    assert ledger.purse(LI) == (0, 0, 0)
    assert ledger.of(EXPIRED).balance == 10


def test_a_lot_expires_once_and_not_before_its_time(ledger: Ledger) -> None:
    lot = ledger.earn(LI, 10)
    assert ledger.ask(ExpireLot(lot.id)) == Result()
    ledger.state.at = TOO_LATE
    assert posted(ledger.ask(ExpireLot(lot.id))).amount == 10
    assert ledger.ask(ExpireLot(lot.id)) == ledger.ask(ExpireLot(UUID(int=77))) == Result()


def test_staff_points_have_no_lots_and_no_debts(ledger: Ledger) -> None:
    award = ledger.earn(NURSE, 10)
    ledger.ask(ledger.move(NURSE, CLERK, 4))
    ledger.ask(ledger.reverse(award))
    assert ledger.purse(NURSE) == (-4, 0, 0)
    assert not ledger.state.lots


def test_the_floor_counts_what_is_held(ledger: Ledger) -> None:
    for wallet in (LI, NURSE):
        ledger.earn(wallet, 10)
        other = WANG if wallet is LI else CLERK
        ledger.ask(ledger.reserve(wallet, 7, other))
        ledger.refuses(errors.InsufficientPoints, ledger.move(wallet, other, 4))
        ledger.refuses(errors.InsufficientPoints, ledger.reserve(wallet, 4, other))
        ledger.ask(ledger.move(wallet, other, 3))


def test_what_is_wrong_with_a_hold_is_said(ledger: Ledger) -> None:
    ledger.earn(LI, 10)
    good = ledger.reserve(LI, 10)
    ledger.refuses(errors.AmountNotPositive, replace(good, amount=-1))
    ledger.refuses(errors.LapseNotAhead, replace(good, lapses_at=SPRING))
    ledger.refuses(errors.SameAccount, replace(good, credit=LI))
    ledger.refuses(errors.LedgersMixed, replace(good, credit=NURSE))
    ledger.ask(good)
    ledger.refuses(errors.ReferenceUsed, replace(good, amount=1))
    ledger.ask(replace(ledger.move(issuance(LedgerName.CIVIC), LI, 1), reference=good.reference))


def test_a_hold_is_posted_in_part_and_the_rest_comes_back(ledger: Ledger) -> None:
    old, new = ledger.earn(LI, 10), ledger.earn(LI, 10)
    hold = ledger.hold(LI, 15)
    assert (ledger.lot(old), ledger.lot(new)) == ((0, 10), (5, 5))
    ledger.refuses(errors.HoldExceeded, ledger.post(hold, 16))
    ledger.refuses(errors.AmountNotPositive, ledger.post(hold, 0))
    result = ledger.ask(ledger.post(hold, 12))
    assert posted(result).reference == f"hold/{hold}/post"
    assert posted(result).hold_id == hold
    assert result.hold
    assert (result.hold.state, result.hold.posted_amount) == (HoldState.POSTED, 12)
    assert ledger.allocated(posted(result).id) == {old.id: -10, new.id: -2}
    assert (ledger.lot(old), ledger.lot(new)) == ((0, 0), (8, 0))
    for command in (ledger.post(hold), VoidHold(hold)):
        ledger.refuses(errors.HoldAlreadyPosted, command)


def test_a_void_gives_all_back_once(ledger: Ledger) -> None:
    lot = ledger.earn(LI, 10)
    hold = ledger.hold(LI, 6)
    ledger.ask(VoidHold(hold))
    assert ledger.lot(lot) == (10, 0)
    for command in (ledger.post(hold), VoidHold(hold)):
        ledger.refuses(errors.HoldVoided, command)
    assert ledger.ask(LapseHold(hold)) == Result()
    ledger.refuses(errors.HoldNotFound, VoidHold(UUID(int=77)))


def test_a_hold_is_over_at_its_time_though_nobody_swept_it(ledger: Ledger) -> None:
    ledger.earn(LI, 10)
    hold = ledger.hold(LI, 6, days=1)
    assert ledger.ask(LapseHold(hold)) == Result()
    ledger.state.at += A_DAY
    ledger.refuses(errors.HoldLapsed, ledger.post(hold))
    ledger.refuses(errors.HoldLapsed, VoidHold(hold))
    lapsed = ledger.ask(LapseHold(hold)).hold
    assert lapsed
    assert (lapsed.state, lapsed.closed_at) == (HoldState.LAPSED, ledger.state.at)
    assert ledger.purse(LI) == (10, 0, 0)
    ledger.refuses(errors.HoldLapsed, ledger.post(hold))


def test_held_points_outlive_their_expiry_and_expire_when_they_come_back(ledger: Ledger) -> None:
    lot = ledger.earn(LI, 10)
    hold = ledger.hold(LI, 6)
    ledger.state.at = TOO_LATE
    ledger.ask(ExpireLot(lot.id))
    assert ledger.lot(lot) == (0, 6)
    result = ledger.ask(ledger.post(hold, 4))
    [asked, expiry] = ledger.transfers[-2:]
    assert asked == result.transfer
    assert (expiry.code, expiry.amount, expiry.reference) == (TransferCode.EXPIRY, 2, f"expiry/{lot.id}/{hold}")
    assert ledger.allocated(expiry.id) == {lot.id: -2}
    assert ledger.purse(LI) == (0, 0, 0)


def test_what_comes_back_from_a_hold_pays_debt_first(ledger: Ledger) -> None:
    award = ledger.earn(LI, 10)
    hold = ledger.hold(LI, 10)
    ledger.ask(ledger.reverse(award, 4))
    assert ledger.purse(LI) == (6, 10, 4)
    ledger.ask(VoidHold(hold))
    assert ledger.purse(LI) == (6, 0, 0)
    assert ledger.allocated(hold) == {award.id: -4}
    assert ledger.lot(award) == (6, 0)


def test_a_reversal_never_exceeds_what_is_left(ledger: Ledger) -> None:
    award = ledger.earn(LI, 10)
    back = posted(ledger.ask(ledger.reverse(award, 4)))
    assert (back.code, back.reverses_id, back.rule) == (TransferCode.REVERSAL, award.id, ("volunteer.hour", 1))
    ledger.refuses(errors.ReversalExceedsTransfer, ledger.reverse(award, 7))
    ledger.refuses(errors.AmountNotPositive, ledger.reverse(award, 0))
    ledger.refuses(errors.NotReversible, ledger.reverse(back))
    ledger.refuses(errors.ReferenceUsed, replace(ledger.reverse(award, 1), reference=back.reference))
    ledger.refuses(errors.TransferNotFound, replace(ledger.reverse(award), transfer_id=UUID(int=77)))
    assert posted(ledger.ask(ledger.reverse(award))).amount == 6
    ledger.refuses(errors.ReversalExceedsTransfer, ledger.reverse(award))


def test_an_award_taken_back_comes_from_what_is_free_then_expired_then_is_owed(ledger: Ledger) -> None:
    award = ledger.earn(LI, 10)
    ledger.spend(LI, 3)
    hold = ledger.hold(LI, 2)
    ledger.state.at = TOO_LATE
    ledger.ask(VoidHold(hold))  # 2 expire
    ledger.ask(ExpireLot(award.id))  # 5 more
    back = posted(ledger.ask(ledger.reverse(award)))
    first, second, asked = ledger.transfers[-3:]
    assert [(t.amount, t.reference) for t in (first, second)] == [
        (2, f"{back.reference}/expiry/1"),
        (5, f"{back.reference}/expiry/2"),
    ]
    assert asked == back
    assert ledger.allocated(back.id) == {award.id: -7}
    assert ledger.purse(LI) == (-3, 0, 3)
    assert ledger.of(EXPIRED).balance == 0


def test_what_an_award_taken_back_leaves_owed_is_paid_at_once_by_other_points(ledger: Ledger) -> None:
    award = ledger.earn(LI, 10)
    ledger.spend(LI, 10)
    ledger.state.at = NEXT_SPRING
    other = ledger.earn(LI, 4)
    back = posted(ledger.ask(ledger.reverse(award, 9)))
    assert ledger.allocated(back.id) == {other.id: -4}
    assert ledger.purse(LI) == (-5, 0, 5)
    ledger.refuses(errors.InsufficientPoints, ledger.move(LI, COUPONS, 1))
    later = ledger.earn(LI, 12)
    assert ledger.purse(LI) == (7, 0, 0)
    assert ledger.state.lots[later.id].amount == 7, "later credits pay first, and only the rest makes a lot"
    assert ledger.earn(LI, 1).id in ledger.state.lots


def test_overdue_points_pay_no_debt(ledger: Ledger) -> None:
    award = ledger.earn(LI, 10)
    ledger.spend(LI, 10)
    ledger.earn(LI, 3)
    ledger.state.at = TOO_LATE
    ledger.ask(ledger.reverse(award))
    assert [(t.code, t.amount) for t in ledger.transfers[-2:]] == [
        (TransferCode.EXPIRY, 3),
        (TransferCode.REVERSAL, 10),
    ]
    assert ledger.purse(LI) == (-10, 0, 10)


def test_a_lot_that_is_overdue_expires_before_it_is_taken_back(ledger: Ledger) -> None:
    award = ledger.earn(LI, 10)
    ledger.state.at = TOO_LATE
    ledger.ask(ledger.reverse(award))
    assert [t.code for t in ledger.transfers] == [
        TransferCode.AWARD,
        TransferCode.EXPIRY,
        TransferCode.REVERSAL,
        TransferCode.REVERSAL,
    ]
    assert ledger.purse(LI) == (0, 0, 0)


def test_what_was_spent_comes_back_to_its_lots_the_last_to_expire_first(ledger: Ledger) -> None:
    old = ledger.earn(LI, 10)
    ledger.state.at = NEXT_SPRING
    new = ledger.earn(LI, 10)
    spent = ledger.spend(LI, 18)
    ledger.ask(ledger.reverse(spent, 12))
    assert (ledger.lot(old), ledger.lot(new)) == ((4, 0), (10, 0))
    ledger.state.at = TOO_LATE
    rest = posted(ledger.ask(ledger.reverse(spent)))
    assert ledger.transfers[-1].reference == f"expiry/{old.id}/{rest.id}"
    assert ledger.transfers[-1].amount == 6
    assert (ledger.lot(old), ledger.lot(new)) == ((4, 0), (10, 0)), "the rest is over its time"
    assert ledger.allocated(rest.id) == {old.id: 6}


def test_what_was_spent_pays_debt_when_it_comes_back(ledger: Ledger) -> None:
    award = ledger.earn(LI, 10)
    spent = ledger.spend(LI, 10)
    ledger.ask(ledger.reverse(award, 4))
    ledger.ask(ledger.reverse(spent))
    assert ledger.purse(LI) == (6, 0, 0)
    assert ledger.lot(award) == (6, 0)


def test_what_was_spent_before_there_were_lots_comes_back_as_a_new_one(ledger: Ledger) -> None:
    ledger.earn(LI, 10)
    spent = ledger.spend(LI, 10)
    ledger.state.transfers[spent.id].taken.clear()
    back = posted(ledger.ask(ledger.reverse(spent, 3)))
    assert ledger.lot(back) == (3, 0)


def test_a_merger_moves_points_holds_and_debts(ledger: Ledger) -> None:
    ledger.earn(LI, 10)
    hold = ledger.hold(LI, 4)
    owed = ledger.earn(WANG, 5)
    ledger.spend(WANG, 5)
    ledger.ask(ledger.reverse(owed, 3))
    result = ledger.ask(ledger.merge(LI, WANG))
    assert (posted(result).amount, posted(result).code) == (10, TransferCode.MERGER)
    assert result.merger
    assert (result.merger.transfer_id, result.merger.sequence) == (posted(result).id, 5)
    assert (ledger.purse(LI), ledger.purse(WANG)) == ((0, 0, 0), (7, 4, 0))
    assert sum(ledger.allocated(result.merger.id).values()) == -3
    ledger.ask(ledger.post(hold))
    ledger.earn(LI, 1)
    assert (ledger.purse(LI), ledger.purse(WANG)) == ((0, 0, 0), (4, 0, 0))
    ledger.refuses(errors.SameAccount, ledger.move(LI, WANG, 1))


def test_what_a_merged_account_owes_comes_along_the_other_way(ledger: Ledger) -> None:
    owed = ledger.earn(LI, 5)
    ledger.spend(LI, 5)
    ledger.ask(ledger.reverse(owed))
    ledger.earn(WANG, 8)
    moved = posted(ledger.ask(ledger.merge(LI, WANG)))
    assert (moved.debit_account_id, moved.amount) == (WANG.id, 5)
    assert ledger.purse(WANG) == (3, 0, 0)


def test_overdue_points_of_both_expire_before_a_merger(ledger: Ledger) -> None:
    for wallet, points in ((WANG, 3), (LI, 4)):
        ledger.earn(wallet, points)
    owed = ledger.earn(ZHAO, 2)
    ledger.spend(ZHAO, 2)
    ledger.ask(ledger.reverse(owed))
    ledger.ask(ledger.merge(WANG, ZHAO))
    assert ledger.purse(ZHAO) == (1, 0, 0)
    ledger.state.at = TOO_LATE
    assert ledger.ask(ledger.merge(LI, ZHAO)).transfer is None
    assert [(t.code, t.amount) for t in ledger.transfers[-2:]] == [(TransferCode.EXPIRY, 4), (TransferCode.EXPIRY, 1)]


def test_an_account_is_merged_once_and_not_into_itself(ledger: Ledger) -> None:
    assert ledger.ask(ledger.merge(LI, WANG)).transfer is None
    ledger.refuses(errors.AlreadyMerged, ledger.merge(LI, ZHAO))
    ledger.refuses(errors.AlreadyMerged, ledger.merge(WANG, LI))
    ledger.refuses(errors.LedgersMixed, Merge(WANG, NURSE, "test/mixed", SPRING))
    ledger.ask(ledger.merge(WANG, ZHAO))
    assert ledger.of(LI).merged_into_id == ledger.of(WANG).merged_into_id == ZHAO.id


def test_what_was_spent_before_a_merger_comes_back_after_it(ledger: Ledger) -> None:
    award = ledger.earn(LI, 10)
    spent = ledger.spend(LI, 10)
    ledger.ask(ledger.merge(LI, WANG))
    ledger.ask(ledger.reverse(spent, 6))
    assert (ledger.purse(WANG), ledger.lot(award)) == ((6, 0, 0), (6, 0))
    ledger.ask(ledger.reverse(award))
    assert ledger.purse(WANG) == (-4, 0, 4)
    ledger.earn(WANG, 6)
    assert ledger.spend(LI, 1).debit_account_id == WANG.id


def test_a_transfer_between_two_that_became_one_is_not_reversed(ledger: Ledger) -> None:
    ledger.earn(LI, 10)
    given = posted(ledger.ask(ledger.move(LI, WANG, 5)))
    hold = ledger.ask(ledger.reserve(LI, 5, WANG)).hold
    ledger.ask(ledger.merge(LI, WANG))
    ledger.refuses(errors.SameAccount, ledger.reverse(given))
    assert hold
    ledger.refuses(errors.SameAccount, ledger.post(hold.id))
    ledger.ask(VoidHold(hold.id))
    assert ledger.purse(WANG) == (10, 0, 0)


def test_a_cap_grants_a_part_and_then_none(ledger: Ledger) -> None:
    award = Award(LI, 30, ("volunteer.hour", 1), "award/1", SPRING, (CAP, 48))
    assert [ledger.ask(replace(award, reference=f"award/{n}")).granted for n in (1, 2, 3)] == [30, 18, 0]
    assert ledger.state.caps == ledger.book.changes.caps == {CAP: 48}
    assert ledger.of(LI).balance == 48
    ledger.refuses(errors.ReferenceUsed, award)
    assert ledger.ask(replace(award, reference="award/4", due=-3, cap=None)) == Result()


def test_an_award_withdrawn_makes_room_in_its_cap_and_tops_nothing_up(ledger: Ledger) -> None:
    award = Award(LI, 30, ("volunteer.hour", 1), "award/1", SPRING, (CAP, 48))
    first = posted(ledger.ask(award))
    ledger.ask(replace(award, reference="award/2"))
    taken = ledger.ask(TakeBack(first.id, 30, "award/1/withdrawn", SPRING, CAP))
    assert (taken.granted, ledger.state.caps[CAP], ledger.of(LI).balance) == (30, 18, 18)
    assert ledger.ask(replace(award, reference="award/3")).granted == 30


def test_taking_back_what_was_taken_back_by_hand_or_never_granted_moves_nothing(ledger: Ledger) -> None:
    award = posted(ledger.ask(Award(LI, 30, ("volunteer.hour", 1), "award/1", SPRING, (CAP, 48))))
    ledger.ask(ledger.reverse(award))
    assert ledger.ask(TakeBack(award.id, 30, "award/1/withdrawn", SPRING, CAP)) == Result()
    assert ledger.ask(TakeBack(None, 0, "award/2/withdrawn", SPRING, CAP)) == Result()
    assert ledger.state.caps == {CAP: 0}
    ledger.refuses(errors.TransferNotFound, TakeBack(UUID(int=77), 3, "award/4/withdrawn", SPRING, CAP))


def test_linked_commands_stand_or_fall_together_and_their_neighbours_stand() -> None:
    ledger = Ledger()
    ledger.earn(LI, 10)
    good, bad = ledger.move(LI, WANG, 4), ledger.move(WANG, COUPONS, 5)
    changes, [together, alone] = run(ledger.state, [Linked((good, bad)), good])
    assert isinstance(together, errors.InsufficientPoints)
    assert isinstance(alone, tuple)
    assert [transfer.amount for transfer in changes.transfers] == [4]
    assert (ledger.purse(LI), ledger.purse(WANG)) == ((6, 0, 0), (4, 0, 0))


def test_a_clock_that_goes_back_neither_posts_earlier_nor_revives_points(ledger: Ledger) -> None:
    award = ledger.earn(LI, 10)
    hold = ledger.hold(LI, 4)
    ledger.state.at = TOO_LATE
    ledger.ask(ExpireLot(award.id))
    ledger.state.at = TOO_LATE - A_DAY
    ledger.ask(VoidHold(hold))
    assert ledger.lot(award) == (0, 0)
    assert ledger.earn(LI, 1).posted_at == TOO_LATE


def test_the_same_commands_on_the_same_state_give_the_same_rows() -> None:
    def commands(ledger: Ledger) -> list[Linked]:
        award = Award(LI, 10, ("volunteer.hour", 1), "award/1", SPRING)
        return [Linked((award, ledger.move(LI, WANG, 4), ledger.reserve(WANG, 2))), Linked((ledger.move(LI, WANG, 9),))]

    first, second = run(new_state(), commands(Ledger()))[0], run(new_state(), commands(Ledger()))[0]
    assert first == second
