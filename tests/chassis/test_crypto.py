"""Personal data at rest: readable in its own place with its own key, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.core.crypto import (
    CannotOpen,
    DataKeys,
    Vault,
    mask_name,
    mask_phone,
    new_token,
    token_hash,
)

KEYS = DataKeys.generate()
VAULT = Vault(KEYS)


@given(st.text(max_size=200), st.text(max_size=50))
def test_what_was_sealed_opens_in_its_place(value: str, context: str) -> None:
    assert VAULT.open(VAULT.seal(value, context), context) == value


def test_what_was_sealed_shows_nothing_and_is_never_the_same_twice() -> None:
    sealed = VAULT.seal("13812341234", "person.phone:1")
    assert b"13812341234" not in sealed
    assert sealed != VAULT.seal("13812341234", "person.phone:1")


@pytest.mark.parametrize("place", ["person.phone:2", "person.name:1", "", "person.phone:1 "])
def test_a_value_moved_to_another_row_or_column_does_not_open(place: str) -> None:
    with pytest.raises(CannotOpen):
        VAULT.open(VAULT.seal("张三丰", "person.phone:1"), place)


@given(st.data())
def test_an_altered_value_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(VAULT.seal("张三丰", "person.name:1"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpen):
        VAULT.open(bytes(sealed), "person.name:1")


@given(st.binary(max_size=60))
def test_what_was_never_sealed_does_not_open_and_the_failure_tells_no_id(rubbish: bytes) -> None:
    with pytest.raises(CannotOpen) as failure:
        VAULT.open(rubbish, "person.name:secret-id")
    assert "secret-id" not in str(failure.value)


def test_after_a_change_of_keys_the_old_values_open_and_new_ones_use_the_new_key() -> None:
    old = VAULT.seal("张三丰", "person.name:1")
    rotated = Vault(DataKeys("k2", {**KEYS.keys, "k2": DataKeys.generate().keys["k1"]}, KEYS.lookup))
    assert rotated.open(old, "person.name:1") == "张三丰"
    new = rotated.seal("张三丰", "person.name:1")
    with pytest.raises(CannotOpen):
        VAULT.open(new, "person.name:1")
    assert rotated.fingerprint("13812341234", "phone") == VAULT.fingerprint("13812341234", "phone")


def test_another_services_keys_open_nothing() -> None:
    other = Vault(DataKeys.generate())
    with pytest.raises(CannotOpen):
        other.open(VAULT.seal("张三丰", "person.name:1"), "person.name:1")
    assert other.fingerprint("13812341234", "phone") != VAULT.fingerprint("13812341234", "phone")


def test_a_fingerprint_finds_the_same_value_again_and_tells_purposes_apart() -> None:
    assert VAULT.fingerprint("13812341234", "phone") == VAULT.fingerprint("13812341234", "phone")
    assert VAULT.fingerprint("13812341234", "phone") != VAULT.fingerprint("13812341234", "otp")
    assert VAULT.fingerprint("13812341234", "phone") != VAULT.fingerprint("13812341235", "phone")
    assert len(VAULT.fingerprint("", "phone")) == 32


def test_derived_keys_differ_by_purpose_and_from_the_lookup_key() -> None:
    assert len({VAULT.derive("cursors"), VAULT.derive("sampling"), KEYS.lookup}) == 3
    assert VAULT.derive("cursors") == Vault(KEYS).derive("cursors")


def test_tokens_cannot_be_guessed_and_are_stored_as_hashes() -> None:
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {22}
    assert token_hash("a") != token_hash("b")
    assert len(token_hash("a")) == 32


@pytest.mark.parametrize(("name", "masked"), [("张三丰", "张**"), ("李四", "李*"), ("王", "王*"), ("", "")])
def test_names_are_shown_masked(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@pytest.mark.parametrize(("phone", "masked"), [("13812341234", "138****1234"), ("110", "****"), ("", "****")])
def test_phones_are_shown_masked(phone: str, masked: str) -> None:
    assert mask_phone(phone) == masked
