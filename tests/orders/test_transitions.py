"""The state machine against the table of transitions, which was written before it: every pair of states, every post."""

import csv
from itertools import product
from pathlib import Path

import pytest

from services.orders.terms import Post, State
from services.orders.workflow import rules
from services.orders.workflow.errors import WrongState

with (Path(__file__).parent / "transitions.csv").open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))

ALLOWED = {(row["from"], row["to"], post) for row in ROWS if row["built"] == "yes" for post in row["by"].split("|")}
BUILT_STATES = {row["to"] for row in ROWS if row["built"] == "yes"}


def may(from_state: State | None, to_state: State, post: Post) -> bool:
    try:
        rules.check_move(from_state, to_state, post)
    except WrongState:
        return False
    return True


def test_the_table_is_well_formed() -> None:
    posts = {str(post) for post in Post}
    for row in ROWS:
        assert row["built"] in {"yes", "no"}
        assert row["condition"]
        assert set(row["by"].split("|")) <= posts
    triples = [(row["from"], row["to"], post) for row in ROWS for post in row["by"].split("|")]
    assert len(triples) == len(set(triples))


def test_the_states_in_the_code_are_those_that_the_table_says_are_built() -> None:
    assert {str(state) for state in State} == BUILT_STATES


@pytest.mark.parametrize("post", Post)
def test_an_order_moves_exactly_as_the_table_says_and_by_nobody_else(post: Post) -> None:
    for from_state, to_state in product([None, *State], State):
        expected = (from_state or "", str(to_state), str(post)) in ALLOWED
        assert may(from_state, to_state, post) is expected, (from_state, to_state)


def test_a_refusal_names_the_state_that_the_order_is_in() -> None:
    with pytest.raises(WrongState, match="in_progress"):
        rules.check_move(State.IN_PROGRESS, State.CLAIMED, Post.HANDLER)
