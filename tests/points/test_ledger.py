"""The ledger in its database: nothing is changed afterwards, nothing is lost, nothing is posted twice."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from chassis.core.ids import new_id
from services.points.ledger import actions
from services.points.ledger.core import commands
from services.points.ledger.core.commands import Command
from services.points.ledger.core.state import NewTransfer
from services.points.ledger.errors import InsufficientPoints, ReferenceUsed, ReversalExceedsTransfer
from services.points.ledger.queries import accounts_by_id
from services.points.ledger.tables import Transfer
from services.points.ledger.terms import AccountKey, TransferCode, issuance
from services.points.terms import LedgerName, OwnerKind
from tests.points.conftest import Points
from tests.points.facts import NOON, Order


def wallet(owner: UUID | None = None) -> AccountKey:
    return AccountKey(LedgerName.CIVIC, OwnerKind.HOUSEHOLD, owner or new_id())


def posting(debit: AccountKey, credit: AccountKey, amount: int, reference: str = "") -> commands.Transfer:
    return commands.Transfer(
        debit=debit,
        credit=credit,
        amount=amount,
        code=TransferCode.AWARD,
        reference=reference or str(new_id()),
        occurred_at=NOON,
    )


async def post(points: Points, asked: Command) -> NewTransfer:
    async with points.db.transaction() as session:
        result = await actions.post(session, asked)
    assert result.transfer is not None
    return result.transfer


async def reverse(points: Points, transfer: NewTransfer, amount: int) -> NewTransfer:
    return await post(points, commands.Reverse(transfer.id, str(new_id()), NOON, amount))


COLUMNS = {
    "transfer": "amount",
    "allocation": "amount",
    "merger": "reference",
    "hold_lot": "amount",
    "fact": "subject_label",
    "rule_version": "amount",
}
"""Of every table whose rows stand for ever, a column."""


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET {} = {}", "TRUNCATE {} CASCADE"])
async def test_the_service_itself_cannot_change_or_delete_what_was_written(
    points: Points, table: str, change: str
) -> None:
    await points.tell(*Order().handled(new_id()))
    statement = change.format(table, COLUMNS[table], COLUMNS[table])
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with points.db.transaction() as session:
            await session.execute(text(statement))


async def test_a_reference_is_accepted_once_for_ever(points: Points) -> None:
    owner = wallet()
    await post(points, posting(issuance(LedgerName.CIVIC), owner, 5, "the-only-one"))
    with pytest.raises(ReferenceUsed):
        await post(points, posting(issuance(LedgerName.CIVIC), owner, 5, "the-only-one"))
    await points.check()


async def test_nobody_spends_what_they_do_not_have(points: Points) -> None:
    rich, poor = wallet(), wallet()
    await post(points, posting(issuance(LedgerName.CIVIC), rich, 5))
    await post(points, posting(rich, poor, 5))
    with pytest.raises(InsufficientPoints):
        await post(points, posting(rich, poor, 1))
    await points.check()


async def test_a_transfer_is_reversed_in_parts_but_never_beyond_the_whole(points: Points) -> None:
    award = await post(points, posting(issuance(LedgerName.CIVIC), wallet(), 10))
    first = await reverse(points, award, 4)
    assert (first.amount, first.reverses_id, first.debit_account_id) == (4, award.id, award.credit_account_id)
    with pytest.raises(ReversalExceedsTransfer):
        await reverse(points, award, 7)
    await reverse(points, award, 6)
    with pytest.raises(ReversalExceedsTransfer):
        await reverse(points, award, 1)
    await points.check()


async def test_a_reversal_of_spent_points_leaves_a_debt_and_conserves_points(points: Points) -> None:
    owner, other = wallet(), wallet()
    award = await post(points, posting(issuance(LedgerName.CIVIC), owner, 10))
    await post(points, posting(owner, other, 8))
    await reverse(points, award, 10)
    async with points.db.transaction() as session:
        balances = await accounts_by_id(session, [owner.id, other.id])
    assert (balances[owner.id].balance, balances[other.id].balance) == (-8, 8)
    await points.check()


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("award"), st.integers(0, 2), st.integers(0, 2), st.integers(1, 20)),
        st.tuples(st.just("spend"), st.integers(0, 2), st.integers(0, 2), st.integers(1, 20)),
        st.tuples(st.just("reverse"), st.integers(0, 9), st.integers(0, 0), st.integers(1, 20)),
    ),
    max_size=12,
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(moves=MOVES)
async def test_no_history_makes_or_loses_a_point(own_points: Points, moves: Sequence[tuple[Any, ...]]) -> None:
    wallets = [wallet() for _ in range(3)]
    expected = dict.fromkeys(wallets, 0)
    posted: list[tuple[NewTransfer, AccountKey | None, AccountKey]] = []
    for kind, first, second, amount in moves:
        match kind:
            case "award":
                posted.append(
                    (
                        await post(own_points, posting(issuance(LedgerName.CIVIC), wallets[first], amount)),
                        None,
                        wallets[first],
                    )
                )
                expected[wallets[first]] += amount
            case "spend" if first != second:
                source, target = wallets[first], wallets[second]
                try:
                    posted.append((await post(own_points, posting(source, target, amount)), source, target))
                except InsufficientPoints:
                    assert expected[source] < amount
                    continue
                expected[source] -= amount
                expected[target] += amount
            case "reverse" if first < len(posted):
                transfer, source_or_none, target = posted[first]
                try:
                    await reverse(own_points, transfer, amount)
                except ReversalExceedsTransfer:
                    continue
                expected[target] -= amount
                if source_or_none is not None:
                    expected[source_or_none] += amount
    await own_points.check()
    async with own_points.db.transaction() as session:
        accounts = await accounts_by_id(session, [key.id for key in wallets])
    assert {key: accounts[key.id].balance if key.id in accounts else 0 for key in wallets} == expected


async def test_numbers_follow_the_order_of_posting_and_each_ledger_has_its_own(own_points: Points) -> None:
    for _ in range(3):
        await post(own_points, posting(issuance(LedgerName.CIVIC), wallet(), 1))
    await own_points.tell(*Order().handled(new_id()))
    async with own_points.db.transaction() as session:
        rows = await session.execute(
            select(Transfer.ledger, Transfer.sequence).order_by(Transfer.ledger, Transfer.sequence)
        )
        assert [tuple(row) for row in rows] == [
            *[(LedgerName.CIVIC, number) for number in (1, 2, 3)],
            *[(LedgerName.STAFF, number) for number in (1, 2, 3, 4)],
        ]
