"""Cursors: they continue the list that made them, and no other."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.core.ids import new_id
from chassis.core.paging import Cursors, InvalidCursor

CURSORS = Cursors(b"k" * 32)
FILTERS = {"list": "orders", "state": "pooled", "unit": None}


@given(st.lists(st.one_of(st.text(), st.integers()), max_size=4))
def test_a_cursor_continues_where_the_page_ended(last: list[str | int]) -> None:
    assert CURSORS.decode(CURSORS.encode(FILTERS, last), FILTERS) == last


def test_the_first_page_has_no_cursor() -> None:
    assert CURSORS.decode(None, FILTERS) is None


def test_filters_of_any_kind_and_order_make_the_same_list() -> None:
    unit = new_id()
    cursor = CURSORS.encode({"unit": unit, "state": "pooled"}, [1])
    assert CURSORS.decode(cursor, {"state": "pooled", "unit": unit}) == [1]


@pytest.mark.parametrize(
    "filters", [{}, FILTERS | {"state": "closed"}, FILTERS | {"more": 1}, {"list": "orders", "state": "pooled"}]
)
def test_a_cursor_of_other_filters_is_refused(filters: dict[str, object]) -> None:
    with pytest.raises(InvalidCursor) as refusal:
        CURSORS.decode(CURSORS.encode(FILTERS, ["x"]), filters)
    assert [field.name for field in refusal.value.fields] == ["query.cursor"]
    assert refusal.value.status == 422


def test_a_cursor_of_another_service_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        CURSORS.decode(Cursors(b"o" * 32).encode(FILTERS, ["x"]), FILTERS)


@given(st.data())
def test_an_altered_cursor_is_refused(data: st.DataObject) -> None:
    raw = bytearray(base64.urlsafe_b64decode(CURSORS.encode(FILTERS, ["x", 1]) + "=="))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidCursor):
        CURSORS.decode(base64.urlsafe_b64encode(raw).decode().rstrip("="), FILTERS)


@given(st.text(alphabet=st.characters(), max_size=100))
def test_what_never_was_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        CURSORS.decode(text, FILTERS)


@pytest.mark.parametrize("junk", ["\x00", "!", " ", "\n", "页", "\ud800", "+"])
def test_a_cursor_with_anything_added_is_refused(junk: str) -> None:
    cursor = CURSORS.encode(FILTERS, ["x"])
    for altered in (junk + cursor, cursor + junk, cursor[:9] + junk + cursor[9:], cursor[:9] + 4 * junk + cursor[9:]):
        with pytest.raises(InvalidCursor):
            CURSORS.decode(altered, FILTERS)
