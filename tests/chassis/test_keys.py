"""Key files: made once, never replaced, and nobody else's to read."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from chassis.core.crypto import Vault
from chassis.core.keys import (
    KeysMissing,
    create_key_files,
    read_data_keys,
    read_key_file,
    read_signing_key,
    read_signing_keys,
    read_trusted,
)

PROCESSES = ["gateway", "orders", "points"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def make(folder: Path, processes: list[str] = PROCESSES) -> list[str]:
    return sorted(path.name for path in create_key_files(folder, processes=processes, data_services=["orders"]))


def test_everything_that_is_needed_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "密钥 keys"
    assert make(folder) == sorted(path.name for path in folder.iterdir())
    assert read_signing_key(folder, "orders").kid == "orders"
    assert set(read_trusted(folder)) == set(PROCESSES)
    assert read_signing_keys(folder / "access-tokens.json")[0].kid == "t1"
    vault = Vault(read_data_keys(folder, "orders"))
    assert vault.open(vault.seal("x", "y"), "y") == "x"


def test_making_them_again_replaces_nothing(tmp_path: Path) -> None:
    make(tmp_path)
    before = contents(tmp_path)
    assert make(tmp_path) == []
    assert contents(tmp_path) == before


def test_a_new_service_is_trusted_and_the_others_stay_so(tmp_path: Path) -> None:
    make(tmp_path)
    before = contents(tmp_path)
    assert make(tmp_path, ["events"]) == ["signing.events.json", "trusted.json"]
    after = contents(tmp_path)
    assert {name for name, content in before.items() if after[name] != content} == {"trusted.json"}
    assert set(read_trusted(tmp_path)) == {*PROCESSES, "events"}


def test_where_the_private_keys_lie_elsewhere_the_public_ones_are_kept(tmp_path: Path) -> None:
    make(tmp_path)
    trusted = {name: key.as_dict(private=False) for name, key in read_trusted(tmp_path).items()}
    (tmp_path / "trusted.json").unlink()
    assert make(tmp_path) == ["trusted.json"]
    assert {name: key.as_dict(private=False) for name, key in read_trusted(tmp_path).items()} == trusted


def test_a_file_of_a_services_own_is_made_once_and_lies_with_the_others(tmp_path: Path) -> None:
    made: list[str] = []

    def content() -> str:
        made.append("once")
        return '{"key": "k"}'

    for _ in range(2):
        create_key_files(tmp_path, processes=PROCESSES, data_services=[], further={"own.json": content})
    assert made == ["once"]
    assert read_key_file(tmp_path / "own.json") == {"key": "k"}
    assert (tmp_path / "own.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeysMissing, match=r"other\.json"):
        read_key_file(tmp_path / "other.json")


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    before = os.umask(0)
    try:
        make(folder)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_what_a_start_cut_off_left_behind_does_no_harm(tmp_path: Path) -> None:
    left = tmp_path / "data.orders.json.new"
    left.write_text("half a ke")
    left.chmod(0o666)
    make(tmp_path)
    assert read_data_keys(tmp_path, "orders")
    assert not left.exists()
    assert (tmp_path / "data.orders.json").stat().st_mode & 0o777 == 0o600


def test_the_trusted_keys_are_public_ones_only(tmp_path: Path) -> None:
    make(tmp_path)
    keys = json.loads((tmp_path / "trusted.json").read_text())["keys"]
    assert all("d" not in key for key in keys)


def test_two_who_start_at_once_end_up_with_the_same_keys(tmp_path: Path) -> None:
    with multiprocessing.get_context("forkserver").Pool(4) as pool:
        written = pool.map(make, [tmp_path] * 12)
    names = [name for each in written for name in each]
    assert sorted(names) == sorted(contents(tmp_path))
    assert {name: key.as_dict(private=False) for name, key in read_trusted(tmp_path).items()} == {
        name: read_signing_key(tmp_path, name).as_dict(private=False) for name in PROCESSES
    }


@pytest.mark.parametrize("content", [None, "", "{", "[]", "\x00"])
def test_a_key_file_that_is_missing_or_broken_is_named_with_the_remedy(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "signing.orders.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(KeysMissing, match=r"signing\.orders\.json"):
        read_signing_key(tmp_path, "orders")
