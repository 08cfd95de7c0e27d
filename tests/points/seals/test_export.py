"""What an auditor finds with an export and the public key: whatever was altered in the database, and where."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from beiyuan.verify.leaves import canonical
from chassis.core.ids import new_id
from services.points.ledger.terms import household_wallet, issuance
from services.points.seals import rules, tree
from services.points.terms import LedgerName
from tests.points.conftest import service_on
from tests.points.seals.conftest import Sealed
from tests.points.seals.history import COLUMNS, History, alter, owner_of
from tests.town import TestDatabase, copy_of

SEQUENCE = 6


@pytest.fixture(scope="module")
async def audited(
    migrated: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sealed]:
    """A sealed ledger that tests alter and put right again."""
    with copy_of(migrated) as database:
        folder = tmp_path_factory.mktemp("audited")
        async with service_on(database, keys_dir, folder) as points:
            sealed = Sealed(points, database, folder)
            sealed.history.of_every_kind()
            sealed.history.grow(5)
            sealed.history.write()
            with owner_of(database) as owner:  # an adversary lets no constraint be in the way
                constraints = owner.execute(
                    "SELECT conname FROM pg_constraint WHERE conrelid = 'transfer'::regclass AND contype = 'c'"
                ).fetchall()
                for (name,) in constraints:
                    owner.execute(sql.SQL("ALTER TABLE transfer DROP CONSTRAINT {}").format(sql.Identifier(name)))
            await sealed.seal()
            yield sealed


@pytest.fixture
def row(audited: Sealed) -> Any:
    """A row that every test finds as it was posted."""
    with owner_of(audited.database) as owner:
        before = owner.execute(f"SELECT {', '.join(COLUMNS)} FROM transfer WHERE id = %s", [transfer_id(audited)])
        values = dict(zip(COLUMNS, before.fetchone() or (), strict=True))
        yield values
        owner.execute("DELETE FROM transfer WHERE sequence = %s OR id = %s", [SEQUENCE, transfer_id(audited)])
        names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        places = sql.SQL(", ").join([sql.Placeholder()] * len(COLUMNS))
        owner.execute(
            sql.SQL("INSERT INTO transfer ({}) VALUES ({})").format(names, places), [values[name] for name in COLUMNS]
        )


def transfer_id(sealed: Sealed) -> UUID:
    return sealed.history.ids[SEQUENCE - 1]


def slightly_other(value: object) -> object:
    """The value with the least of it changed."""
    match value:
        case None:
            return None
        case int():
            return value ^ 64
        case str():
            return value[:-1] + chr(ord(value[-1]) + 1)
        case UUID():
            return UUID(int=value.int ^ 1)
        case datetime():
            return value + timedelta(microseconds=1)
        case bytes():
            return value[:-1] + bytes([value[-1] ^ 1])
        case _:
            raise AssertionError(value)


FILLED: Mapping[str, object] = {
    "hold_id": uuid4(),
    "text_hash": bytes(32),
    "rule_code": "volunteer.hour",
    "rule_version": 1,
    "reverses_id": uuid4(),
}


@pytest.mark.parametrize("column", COLUMNS)
async def test_one_byte_altered_in_any_column_is_found_and_the_transfer_named(
    audited: Sealed, row: dict[str, Any], column: str
) -> None:
    assert await audited.audit() == []
    for value in ({slightly_other(row[column])} | {FILLED.get(column), None}) - {row[column]}:
        if value is None and column not in FILLED:
            continue
        with owner_of(audited.database) as owner:
            owner.execute(
                sql.SQL("UPDATE transfer SET {} = %s WHERE reference = %s OR posted_at = %s").format(
                    sql.Identifier(column)
                ),
                [value, row["reference"], row["posted_at"]],
            )
        [problem] = await audited.audit(with_heads=True)
        assert problem.startswith(
            f"transfer {SEQUENCE} is not what was sealed; it now reads: "
            if column not in {"ledger", "sequence"}
            else f"transfer {SEQUENCE} is missing from the ledger"
        )


async def test_a_transfer_that_was_deleted_is_named(audited: Sealed, row: dict[str, Any]) -> None:
    with owner_of(audited.database) as owner:
        owner.execute("DELETE FROM transfer WHERE sequence = %s", [SEQUENCE])
    assert await audited.audit() == [f"transfer {SEQUENCE} is missing from the ledger"]


async def test_two_transfers_that_changed_places_are_named(audited: Sealed, row: dict[str, Any]) -> None:
    with owner_of(audited.database) as owner:
        for before, after in ((SEQUENCE, 99), (SEQUENCE + 1, SEQUENCE), (99, SEQUENCE + 1)):
            owner.execute("UPDATE transfer SET sequence = %s WHERE sequence = %s", [after, before])
        problems = await audited.audit()
        for before, after in ((SEQUENCE + 1, 99), (SEQUENCE, SEQUENCE + 1), (99, SEQUENCE)):
            owner.execute("UPDATE transfer SET sequence = %s WHERE sequence = %s", [after, before])
    assert [problem.split(";")[0] for problem in problems] == [
        f"transfer {number} is not what was sealed" for number in (SEQUENCE, SEQUENCE + 1)
    ]


async def test_an_altered_hash_is_found_too(audited: Sealed) -> None:
    with owner_of(audited.database) as owner:
        [(hashes,)] = owner.execute("SELECT hashes FROM seal WHERE sequence = 3 AND ledger = 'civic'").fetchall()
        alter(owner, "seal", "sequence = 3 AND ledger = 'civic'", hashes=bytes([hashes[0] ^ 1]) + hashes[1:])
        problems = await audited.audit()
        alter(owner, "seal", "sequence = 3 AND ledger = 'civic'", hashes=hashes)
    assert problems[0].startswith("transfer 3 is not what was sealed")


def rehash(owner: psycopg.Connection[Any], leaves: list[rules.Leaf], only: range | None = None) -> bytes:
    """Let stored hashes fit what the transfers say now: those of these numbers, or all. Returns the root."""
    growing = tree.Growing(0, [])
    for sealed in rules.grow(growing, leaves):
        if only is None or sealed.sequence in only:
            alter(owner, "seal", f"sequence = {sealed.sequence} AND ledger = 'civic'", hashes=sealed.hashes)
    return growing.root()


async def test_a_transfer_altered_along_with_its_hash_is_narrowed_down(sealed: Sealed) -> None:
    sealed.history.grow(12)
    sealed.history.write()
    await sealed.seal()
    leaves = await every_leaf(sealed)
    leaves[4]["reference"] += "!"
    with owner_of(sealed.database) as owner:
        alter(owner, "transfer", "ledger = 'civic' AND sequence = 5", reference=leaves[4]["reference"])
        rehash(owner, leaves, only=range(5, 6))
    assert await sealed.audit() == ["the stored hashes over transfers 5 to 6 are not theirs"]


async def test_a_history_rewritten_with_all_its_hashes_does_not_fit_the_signed_head(sealed: Sealed) -> None:
    for _ in range(3):
        sealed.history.grow(4)
        sealed.history.write()
        await sealed.seal()
    leaves = await every_leaf(sealed)
    leaves[5]["reference"] += "!"
    with owner_of(sealed.database) as owner:
        alter(owner, "transfer", "ledger = 'civic' AND sequence = 6", reference=leaves[5]["reference"])
        root = rehash(owner, leaves)
        signed = "the transfers do not hash to the signed head over 12: something among {} to 12"
        assert await sealed.audit() == [signed.format(1) + " was changed along with its hashes"]
        found = await sealed.audit(with_heads=True)
        # and if the owner of the database signs anew, who has the key, the published heads still say so
        checkpoint = sealed.sealing.key.checkpoint(LedgerName.CIVIC, 12, root)
        alter(owner, "seal_head", "ledger = 'civic' AND size = 12", root=root, checkpoint=checkpoint)
    published = "the published head over {} transfers is not theirs: something among 5 to {} was changed after it was"
    assert found == [
        *(published.format(size, size) + " signed" for size in (8, 12)),
        signed.format(5) + " was changed along with its hashes",
    ]
    assert await sealed.audit() == []
    assert await sealed.audit(with_heads=True) == found[:2]


async def every_leaf(sealed: Sealed) -> list[rules.Leaf]:
    lines = (await sealed.export()).read_bytes().splitlines()[1:]
    return [json.loads(line)["leaf"] for line in lines]


def drop(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def cut(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1][:-9]]


def swap(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def miss(lines: list[bytes]) -> list[bytes]:
    return lines[:4] + lines[5:]


def double(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[-1]]


def space(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], lines[4].replace(b'","', b'", "', 1), *lines[5:]]


def head(change: Callable[[str], str]) -> Callable[[list[bytes]], list[bytes]]:
    def forge(lines: list[bytes]) -> list[bytes]:
        header = json.loads(lines[0])
        return [canonical(header | {"checkpoint": change(header["checkpoint"])}) + b"\n", *lines[1:]]

    return forge


def without_signature(checkpoint: str) -> str:
    return checkpoint.split("\n\n")[0] + "\n"


def other_root(checkpoint: str) -> str:
    origin, size, _, *rest = checkpoint.split("\n")
    return "\n".join([origin, size, base64.b64encode(bytes(32)).decode(), *rest])


FORGERIES: Mapping[str, tuple[Callable[[list[bytes]], list[bytes]], list[str]]] = {
    "truncated": (drop, ["the file ends after 12 transfers; the head is over 13"]),
    "cut off": (cut, ["line 14 of the file cannot be read"]),
    "two lines swapped": (
        swap,
        [
            "transfer 5 stands where 4 should (line 5)",
            "transfer 4 stands where 6 should (line 6)",
            "transfer 6 stands where 5 should (line 7)",
        ],
    ),
    "a line missing": (
        miss,
        ["transfer 5 stands where 4 should (line 5)", "the file ends after 12 transfers; the head is over 13"],
    ),
    "a line twice": (double, ["more than the 13 transfers that the head is over are in the file"]),
    "a space more": (space, ["line 5 of the file cannot be read (it is not written as exports are)"]),
    "no header": (lambda lines: lines[1:], ["line 1 of the file cannot be read"]),
    "nothing": (lambda _: [], ["line 1 of the file cannot be read"]),
    "no signature": (head(without_signature), ["the head is not a signed note"]),
    "another root": (head(other_root), ["the head's signature by"]),
    "another size": (head(lambda text: text.replace("\n13\n", "\n12\n")), ["the head's signature by"]),
    "another origin": (head(lambda text: "x" + text), ["no key is given for 'xbeiyuan/"]),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_export_is_refused(audited: Sealed, forgery: str) -> None:
    change, expected = FORGERIES[forgery]
    path = await audited.export()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))
    problems = audited.check(path).problems
    assert len(problems) == len(expected)
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


async def test_any_byte_altered_in_an_export_is_found(audited: Sealed) -> None:
    path = await audited.export()
    whole = path.read_bytes()
    assert audited.check(path).good
    for place in range(0, len(whole), 61):
        # not the lowest bit: the last one of a base64 text may stand for nothing
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert not audited.check(path).good, place


async def test_an_older_head_passed_off_as_the_present_one_is_told_by_the_published_heads(sealed: Sealed) -> None:
    sealed.history.grow(3)
    sealed.history.write()
    old = (await sealed.export()).read_bytes()
    sealed.history.grow(3)
    sealed.history.write()
    path = await sealed.export()
    path.write_bytes(old)
    report = sealed.check(path, sealed.heads_path)
    assert report.good
    assert "1 published heads are over more transfers than these and were not looked at" in report.checked


async def test_an_export_goes_on_while_the_ledger_does_and_tells_how_far_it_is(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.points.seals.queries._EXPORTED_AT_ONCE", 4)
    sealed.history.grow(10)
    sealed.history.write()
    path = await sealed.export()
    assert sealed.told == [(4, 10), (8, 10), (10, 10)]
    sealed.history.grow(2)
    sealed.history.write()
    assert sealed.check(path).good
    assert len((await sealed.export()).read_bytes().splitlines()) == 13


async def test_a_ledger_that_can_not_be_sealed_any_more_can_still_be_exported(sealed: Sealed) -> None:
    sealed.history.grow(6)
    sealed.history.write()
    await sealed.seal()
    sealed.history.grow(6)
    sealed.history.write()
    with owner_of(sealed.database) as owner:
        owner.execute("DELETE FROM transfer WHERE sequence IN (3, 9)")
    assert await sealed.audit() == ["transfer 3 is missing from the ledger"]


BROKEN: Mapping[str, tuple[dict[str, Any], str]] = {
    "a balance": ({"credit_balance": 99}, "transfer 3: its credit account had 2 and has 99 after +3"),
    "a version": ({"debit_version": 9}, "transfer 3: its debit account's version 9 follows 2"),
    "a past moment": (
        {"posted_at": datetime.fromisoformat("2020-01-01T00:00:00Z")},
        "transfer 3: it was posted before",
    ),
    "nothing moved": ({"amount": 0}, "transfer 3: its amount is not above zero"),
    "a rule without version": ({"rule_version": None}, "transfer 3: a rule is named with its version"),
    "a reversal of nothing": ({"code": "reversal"}, "transfer 3: a reversal names what it reverses"),
}


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_ledger_that_was_wrong_when_it_was_sealed_is_found_as_well(sealed: Sealed, fault: str) -> None:
    changes, expected = BROKEN[fault]
    sealed.history.households = sealed.history.households[:1]
    for amount in (1, 1, 3):
        sealed.history.award(0, amount)
    sealed.history.write()
    with owner_of(sealed.database) as owner:
        owner.execute("ALTER TABLE transfer DROP CONSTRAINT ck_transfer_amount")
        owner.execute("ALTER TABLE transfer DROP CONSTRAINT ck_transfer_rule")
        owner.execute("ALTER TABLE transfer DROP CONSTRAINT ck_transfer_reverses")
        alter(owner, "transfer", "sequence = 3 AND ledger = 'civic'", **changes)
    assert any(problem.startswith(expected) for problem in await sealed.audit())


async def test_nothing_moves_on_an_account_any_more_once_it_was_merged(sealed: Sealed) -> None:
    old, new = household_wallet(new_id()), household_wallet(new_id())
    sealed.history.move(issuance(LedgerName.CIVIC), old, 5)
    sealed.history.move(issuance(LedgerName.CIVIC), new, 1)
    sealed.history.move(old, new, 5, "merger")
    sealed.history.write()
    assert await sealed.audit() == []
    sealed.history.move(issuance(LedgerName.CIVIC), old, 2)
    sealed.history.move(issuance(LedgerName.CIVIC), new, 2, "merger")
    sealed.history.write()
    assert await sealed.audit() == [
        "transfer 4: its credit account had been merged into another",
        "transfer 5: a merger leaves one of its accounts empty",
    ]


async def test_the_staff_ledger_is_exported_by_itself(sealed: Sealed) -> None:
    staff = History(sealed.database, LedgerName.STAFF)
    staff.grow(3)
    staff.write()
    sealed.history.grow(1)
    sealed.history.write()
    path = await sealed.export(LedgerName.STAFF)
    assert sealed.check(path).good
    renamed = path.read_bytes().replace(b'"ledger":"staff"', b'"ledger":"civic"')
    path.write_bytes(renamed)
    assert not sealed.check(path).good
