"""What must hold whatever is asked of the ledger, in whatever order, with time going on and wallets merging."""

import copy
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.core.errors import DomainError
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Award, Command, ExpireLot, LapseHold, TakeBack, VoidHold
from services.points.ledger.terms import issuance
from services.points.terms import LedgerName
from tests.points.ledger.books import CAP, CLERK, COUPONS, LI, NURSE, WANG, ZHAO, Ledger, check, check_rows

WALLETS = (LI, WANG, ZHAO, NURSE, CLERK)
ACCOUNTS = (*WALLETS, LI, WANG, COUPONS, issuance(LedgerName.CIVIC))

WORDS = (
    *("earn", "earn", "award", "move", "move", "move", "reserve", "reserve", "post", "post part", "void", "lapse"),
    *("reverse", "reverse", "reverse part", "reverse part", "expire", "withdraw", "merge", "again"),
)
Draw = tuple[str, int, int, int]
draws = st.tuples(
    st.sampled_from(WORDS),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(-1, 40),
)
steps = st.one_of(
    st.lists(draws, min_size=1, max_size=1),
    st.lists(draws, min_size=2, max_size=4),
    st.sampled_from([1, 30, 200, 400]),
)


def command_of(ledger: Ledger, draw: Draw) -> Command:
    """A command from a draw: mostly possible, not always allowed."""
    word, first, second, amount = draw
    state = ledger.state
    wallet, other = WALLETS[first % len(WALLETS)], ACCOUNTS[second % len(ACCOUNTS)]
    holds, lots, transfers = list(state.holds), list(state.lots), list(state.transfers)
    make: dict[str, Any] = {
        "earn": lambda: Award(wallet, amount, ("rule", 1), ledger.reference(), state.at),
        "award": lambda: Award(wallet, amount, ("rule", 1), ledger.reference(), state.at, (CAP, 60)),
        "move": lambda: ledger.move(wallet, other, amount),
        "reserve": lambda: ledger.reserve(wallet, amount, other, days=1 + second * 5),
        "again": lambda: replace(ledger.move(other, wallet, amount), reference="test/1"),
        "merge": lambda: ledger.merge(wallet, WALLETS[second % len(WALLETS)]),
    }
    if holds:
        hold = holds[second % len(holds)]
        make |= {
            "post": lambda: ledger.post(hold),
            "post part": lambda: ledger.post(hold, amount),
            "void": lambda: VoidHold(hold),
            "lapse": lambda: LapseHold(hold),
        }
    if lots:
        make["expire"] = lambda: ExpireLot(lots[second % len(lots)])
    if transfers:
        past = transfers[(first * 100 + second) % len(transfers)]
        make |= {
            "reverse": lambda: replace(ledger.reverse(ledger.transfers[0]), transfer_id=past),
            "reverse part": lambda: replace(ledger.reverse(ledger.transfers[0], amount), transfer_id=past),
            "withdraw": lambda: TakeBack(past, max(amount, 0), ledger.reference(), state.at, CAP),
        }
    command: Command = make.get(word, make["earn"])()
    return command


def shelves(book: Book) -> dict[Any, list[Any]]:
    """What the book keeps in spending order, as it is, and as a new book would sort it."""
    return {key: shelf for key, shelf in book._journal._shelves.items() if shelf}


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=40))
def test_whatever_is_asked_the_books_balance_and_refusals_leave_no_trace(asked: list[list[Draw] | int]) -> None:
    ledger = Ledger()
    for step in asked:
        if isinstance(step, int):
            ledger.state.at += timedelta(days=step)
            continue
        before = copy.deepcopy(ledger.state)
        try:
            with ledger.book.together():
                for draw in step:
                    ledger.book.apply(command_of(ledger, draw))
                    check(ledger.state)
        except DomainError:
            assert ledger.state == before
        check(ledger.state)
        assert shelves(ledger.book) == shelves(Book(ledger.state))
    check_rows(ledger.book.changes, ledger.state)


@settings(max_examples=150, deadline=None)
@given(st.lists(draws, max_size=25), st.lists(draws, max_size=8), st.lists(draws, max_size=8), st.integers(0, 800))
def test_a_group_undone_leaves_all_as_it_was_be_it_nested(
    before: list[Draw], outer: list[Draw], inner: list[Draw], days: int
) -> None:
    ledger = Ledger()
    for draw in before:
        with suppress(DomainError):
            ledger.book.apply(command_of(ledger, draw))
    ledger.state.at += timedelta(days=days)
    state, rows = copy.deepcopy((ledger.state, ledger.book.changes))
    with suppress(ZeroDivisionError), ledger.book.together():
        apply_all(ledger, outer)
        middle = copy.deepcopy(ledger.state)
        with suppress(KeyError), ledger.book.together():
            apply_all(ledger, inner)
            raise KeyError
        assert ledger.state == middle
        apply_all(ledger, inner)
        raise ZeroDivisionError
    assert (ledger.state, ledger.book.changes) == (state, rows)
    assert list(ledger.state.accounts) == list(state.accounts)
    assert shelves(ledger.book) == shelves(Book(state))


def apply_all(ledger: Ledger, asked: list[Draw]) -> None:
    for draw in asked:
        with suppress(DomainError):
            ledger.book.apply(command_of(ledger, draw))
