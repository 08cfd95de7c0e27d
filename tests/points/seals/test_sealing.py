"""Sealing: every transfer is a leaf for ever, heads never contradict one another, and they are kept outside as well."""

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError

from beiyuan.verify import notes
from chassis.core import clock
from services.points.ledger.tables import Transfer
from services.points.seals import actions, jobs, published, queries, rules, tree
from services.points.seals.errors import SealBroken
from services.points.seals.tables import Seal, SealHead
from services.points.terms import LedgerName
from tests.points.facts import NOON
from tests.points.seals import slow
from tests.points.seals.conftest import Sealed
from tests.points.seals.history import History, alter, owner_of

CIVIC = LedgerName.CIVIC


async def leaves(sealed: Sealed, ledger: LedgerName = CIVIC) -> list[rules.Leaf]:
    async with sealed.points.db.transaction() as session:
        return await queries.leaves_after(session, ledger, 0, 10**6)


def test_a_leaf_holds_every_column_of_a_transfer_so_that_none_can_be_changed_unseen() -> None:
    assert sorted(Transfer.__table__.columns.keys()) == list(rules.LEAF_COLUMNS)


def test_a_leaf_is_written_in_one_way_only() -> None:
    values: dict[str, str | int | None] = dict.fromkeys(rules.LEAF_COLUMNS)
    values |= {"amount": 12, "reference": '积分 "a"\\\n\u0001', "occurred_at": "2026-03-02T04:00:00.000000Z"}
    encoded = rules.encode(rules.leaf_of(list(values.values()))).decode()
    assert encoded.startswith('{"amount":12,"code":null,"credit_account_id":null,')
    assert '"occurred_at":"2026-03-02T04:00:00.000000Z"' in encoded
    assert '"reference":"积分 \\"a\\"\\\\\\n\\u0001"' in encoded
    assert encoded.endswith('"text_hash":null,"v":1}')


async def test_the_database_writes_leaves_as_the_documentation_says(sealed: Sealed) -> None:
    sealed.history.of_every_kind()
    sealed.history.write()
    leaf = (await leaves(sealed))[4]
    assert leaf["text_hash"] == bytes(range(32)).hex()
    assert leaf["posted_at"] == "2026-03-02T04:05:00.000002Z"
    assert leaf["id"] == str(sealed.history.ids[4])
    assert leaf["credit_account_id"] == str(sealed.history.wallet(2).id)
    assert (leaf["ledger"], leaf["code"], leaf["rule_code"], leaf["rule_version"]) == (
        "civic",
        "adjustment",
        None,
        None,
    )


async def test_the_signed_root_is_the_rfcs_over_all_transfers_in_the_order_of_their_numbers(sealed: Sealed) -> None:
    verifiers = notes.read_verifiers(sealed.verifiers)
    for step in (1, 2, 5, 9):
        sealed.history.grow(step)
        sealed.history.write()
        head = await sealed.seal()
        data = tuple(rules.encode(leaf) for leaf in await leaves(sealed))
        assert (head.size, head.root) == (len(data), slow.mth(data))
        assert notes.open_head(head.checkpoint, verifiers) == notes.Head(head_origin(sealed), head.size, head.root)


def head_origin(sealed: Sealed) -> str:
    return sealed.sealing.key.origin(CIVIC)


async def test_each_ledger_has_a_tree_of_its_own(sealed: Sealed) -> None:
    staff = History(sealed.database, LedgerName.STAFF)
    for history, count in ((sealed.history, 3), (staff, 5)):
        history.grow(count)
        history.write()
    civic, other = await sealed.seal(), await sealed.seal(LedgerName.STAFF)
    assert (civic.size, other.size) == (3, 5)
    assert civic.checkpoint.split("\n")[0] != other.checkpoint.split("\n")[0]


async def test_an_empty_ledger_has_a_head_too(sealed: Sealed) -> None:
    head = await sealed.seal()
    assert (head.size, head.root) == (0, tree.EMPTY_ROOT)
    assert await sealed.audit() == []


async def test_the_tree_grows_in_parts_and_takes_up_again_where_it_stopped(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "_PART", 7)
    sealed.history.grow(40)
    sealed.history.write()
    assert (await sealed.seal(at_most=10)).size == 14
    head = await sealed.seal()
    assert (head.size, head.root) == (40, slow.mth(tuple(rules.encode(leaf) for leaf in await leaves(sealed))))


async def test_several_processes_may_seal_at_once(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "_PART", 3)
    sealed.history.grow(30)
    sealed.history.write()
    heads = await asyncio.gather(*(sealed.seal() for _ in range(6)))
    assert {head.size for head in heads} == {30}
    assert len(sealed.heads_path.read_text().splitlines()) == 1
    assert await sealed.audit(with_heads=True) == []


async def test_nothing_new_means_no_new_head(sealed: Sealed) -> None:
    sealed.history.grow(3)
    sealed.history.write()
    first, second = await sealed.seal(), await sealed.seal()
    assert first.checkpoint == second.checkpoint
    async with sealed.points.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(SealHead)) == 1


@pytest.mark.parametrize("table", ["seal", "seal_head"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET ledger = ledger", "TRUNCATE {}"])
async def test_the_service_itself_cannot_change_what_was_sealed(sealed: Sealed, table: str, change: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with sealed.points.db.transaction() as session:
            await session.execute(text(change.format(table)))


async def test_trees_neither_come_nor_go(sealed: Sealed) -> None:
    for change in ("DELETE FROM seal_tree", "INSERT INTO seal_tree VALUES ('other', 0)", "TRUNCATE seal_tree"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with sealed.points.db.transaction() as session:
                await session.execute(text(change))


async def test_every_head_stands_in_a_file_that_only_grows(sealed: Sealed) -> None:
    before = b""
    for _ in range(3):
        sealed.history.grow(2)
        sealed.history.write()
        head = await sealed.seal()
        after = sealed.heads_path.read_bytes()
        assert after.startswith(before)
        assert json.loads(after[len(before) :])["checkpoint"] == head.checkpoint
        before = after


async def test_heads_that_a_crash_kept_from_the_file_get_there_later(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(published, "publish", crash)
        for _ in range(3):
            sealed.history.grow(2)
            sealed.history.write()
            with pytest.raises(OSError, match="no space left"):
                await sealed.seal()
    assert not sealed.heads_path.exists()
    await sealed.seal()
    lines = [json.loads(line)["checkpoint"].split("\n")[1] for line in sealed.heads_path.read_text().splitlines()]
    assert lines == ["2", "4", "6"]


async def test_a_line_that_was_cut_off_stays_and_the_head_is_written_again(sealed: Sealed) -> None:
    sealed.history.grow(2)
    sealed.history.write()
    await sealed.seal()
    whole = sealed.heads_path.read_bytes()
    sealed.heads_path.write_bytes(whole[:-40])
    head = await sealed.seal()
    assert sealed.heads_path.read_bytes() == whole[:-40] + b"\n" + whole
    last = published.last(sealed.sealing.folder, CIVIC)
    assert last is not None
    assert (last.size, last.root, last.checkpoint) == (2, base64.b64encode(head.root).decode(), head.checkpoint)
    assert await sealed.audit(with_heads=True) == []


async def test_no_head_is_signed_over_a_ledger_that_lacks_a_transfer(sealed: Sealed) -> None:
    sealed.history.grow(6)
    sealed.history.write()
    with owner_of(sealed.database) as owner:
        owner.execute("DELETE FROM transfer WHERE sequence = 4")
    with pytest.raises(SealBroken, match="Transfer 4"):
        await sealed.seal()
    async with sealed.points.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(SealHead)) == 0


async def test_no_head_is_signed_that_contradicts_the_last_one(sealed: Sealed) -> None:
    sealed.history.grow(6)
    sealed.history.write()
    await sealed.seal()
    sealed.history.grow(2)
    sealed.history.write()
    with owner_of(sealed.database) as owner:
        alter(owner, "seal", "sequence = 4 AND ledger = 'civic'", hashes=bytes(96))
    with pytest.raises(SealBroken, match="those of the signed head"):
        await sealed.seal()


async def test_no_head_is_signed_after_history_was_rewritten_in_the_database_but_not_outside(sealed: Sealed) -> None:
    sealed.history.grow(6)
    sealed.history.write()
    await sealed.seal()
    with owner_of(sealed.database) as owner:
        alter(owner, "transfer", "sequence = 2 AND ledger = 'civic'", amount=1000)
        owner.execute("DELETE FROM seal; DELETE FROM seal_head; UPDATE seal_tree SET size = 0")
    with pytest.raises(SealBroken, match="those that were published"):
        await sealed.seal()


async def test_no_head_is_signed_over_a_database_that_is_older_than_what_was_published(sealed: Sealed) -> None:
    sealed.history.grow(6)
    sealed.history.write()
    await sealed.seal()
    with owner_of(sealed.database) as owner:
        owner.execute("DELETE FROM seal_head")
        for table in ("seal", "transfer"):
            owner.execute(f"DELETE FROM {table} WHERE sequence > 4")
        owner.execute("UPDATE seal_tree SET size = 4 WHERE ledger = 'civic'")
    with pytest.raises(SealBroken, match="A head over 6"):
        await sealed.seal()


async def test_stored_hashes_that_are_gone_are_not_made_up_again(sealed: Sealed) -> None:
    sealed.history.grow(6)
    sealed.history.write()
    await sealed.seal()
    sealed.history.grow(1)
    sealed.history.write()
    with owner_of(sealed.database) as owner:
        owner.execute("DELETE FROM seal WHERE sequence = 4")
    with pytest.raises(SealBroken, match="hashes of transfer 4"):
        await sealed.seal()


async def first_head(sealed: Sealed) -> None:
    async with asyncio.timeout(60):
        while not sealed.sizes():  # noqa: ASYNC110  # what is waited for is a file
            await asyncio.sleep(0.05)


async def test_what_was_posted_is_sealed_by_itself_within_seconds(sealed: Sealed) -> None:
    sealed.history.grow(3)
    sealed.history.write()
    following = asyncio.create_task(jobs.follow(sealed.points.town.runtime("points")))
    try:
        await first_head(sealed)
    finally:
        following.cancel()
    assert sealed.sizes() == [3]


async def test_whoever_posts_all_the_time_gets_a_head_every_few_seconds_and_not_one_after_the_other(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed: list[int] = []
    sign = actions._sign

    async def sign_while_something_is_posted(*arguments: Any) -> SealHead:
        assert not signed, "the follower rests before the next head"
        head = await sign(*arguments)
        signed.append(head.size)
        sealed.history.grow(1)
        sealed.history.write()
        return head

    monkeypatch.setattr(actions, "_sign", sign_while_something_is_posted)
    sealed.history.grow(3)
    sealed.history.write()
    assert await jobs.seal(sealed.sealing, CIVIC) is True
    assert signed == [3]


async def test_a_tree_that_is_far_behind_its_ledger_is_brought_to_the_end_with_heads_on_the_way(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "_PART", 2)
    sealed.history.grow(9)
    sealed.history.write()
    await actions.catch_up(sealed.sealing, CIVIC, at_once=4)
    assert sealed.sizes() == [4, 8, 9]


async def test_a_broken_ledger_does_not_keep_the_other_from_being_sealed(sealed: Sealed) -> None:
    staff = History(sealed.database, LedgerName.STAFF)
    for history in (sealed.history, staff):
        history.grow(3)
        history.write()
    with owner_of(sealed.database) as owner:
        owner.execute("DELETE FROM transfer WHERE sequence = 2 AND ledger = 'civic'")
    assert await jobs.seal(sealed.sealing, CIVIC) is False
    assert await jobs.seal(sealed.sealing, LedgerName.STAFF) is True
    async with sealed.points.db.transaction() as session:
        assert (await session.scalars(select(Seal.ledger).distinct())).all() == [LedgerName.STAFF]


async def test_a_head_says_when_it_was_signed(sealed: Sealed) -> None:
    sealed.history.grow(1)
    sealed.history.write()
    with clock.frozen(NOON + timedelta(days=3)):
        head = await sealed.seal()
    assert head.signed_at == NOON + timedelta(days=3)
    last = published.last(sealed.sealing.folder, CIVIC)
    assert last is not None
    assert last.signed_at == head.signed_at
