"""The arithmetic of the ledger, without a database."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.points.ledger import rules
from services.points.ledger.errors import InsufficientPoints, LedgersMixed, ReversalExceedsTransfer
from services.points.ledger.rules import Posting
from services.points.ledger.tables import Account, Transfer
from services.points.ledger.terms import AccountKey, TransferCode, issuance
from services.points.terms import LedgerName, OwnerKind

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
OWNER = UUID("0190a6a4-7c2a-7b7e-8f62-6f1f5f3f0a01")


def wallet(balance: int = 0) -> Account:
    account = Account.open(AccountKey(LedgerName.STAFF, OwnerKind.PERSON, uuid4()), NOON)
    account.balance = balance
    return account


def transfer(debit: Account, credit: Account, amount: int) -> Transfer:
    return Transfer(id=uuid4(), debit_account_id=debit.id, credit_account_id=credit.id, amount=amount)


def test_an_account_has_the_same_id_for_ever() -> None:
    key = AccountKey(LedgerName.STAFF, OwnerKind.PERSON, OWNER)
    assert key.id == UUID("0df46669-f2ce-5e05-802d-bebdfe01b101")
    assert len({key.id, AccountKey(LedgerName.CIVIC, OwnerKind.PERSON, OWNER).id, issuance(key.ledger).id}) == 3


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 2**40)), max_size=60))
def test_no_sequence_of_transfers_makes_or_loses_a_point(moves: list[tuple[int, int, int]]) -> None:
    accounts = [wallet() for _ in range(4)]
    for source, target, amount in moves:
        if source != target:
            debit, credit = accounts[source], accounts[target]
            before = debit.balance, credit.balance
            out, into = rules.entries(transfer(debit, credit, amount), debit, credit)
            assert (out.amount, into.amount) == (-amount, amount)
            assert (out.balance_after, into.balance_after) == (before[0] - amount, before[1] + amount)
            assert (out.version, into.version) == (debit.version, credit.version)
    assert sum(account.balance for account in accounts) == 0


def test_spending_stops_at_the_floor_but_issuing_does_not() -> None:
    rules.check_floor(wallet(10), 10)
    with pytest.raises(InsufficientPoints):
        rules.check_floor(wallet(10), 11)
    rules.check_floor(Account.open(issuance(LedgerName.STAFF), NOON), 10**15)


@pytest.mark.parametrize(("already", "amount"), [(0, 11), (10, 1), (4, 7), (0, 0), (0, -1)])
def test_never_more_than_the_whole_is_reversed(already: int, amount: int) -> None:
    with pytest.raises(ReversalExceedsTransfer):
        rules.check_reversal(transfer(wallet(), wallet(), 10), already, amount)


@pytest.mark.parametrize(("already", "amount"), [(0, 10), (0, 1), (4, 6)])
def test_a_transfer_is_reversed_in_whole_or_in_part(already: int, amount: int) -> None:
    rules.check_reversal(transfer(wallet(), wallet(), 10), already, amount)


def test_points_never_pass_from_one_ledger_to_the_other() -> None:
    with pytest.raises(LedgersMixed):
        Posting(
            debit=issuance(LedgerName.STAFF),
            credit=AccountKey(LedgerName.CIVIC, OwnerKind.HOUSEHOLD, OWNER),
            amount=1,
            code=TransferCode.AWARD,
            reference="x",
            occurred_at=NOON,
        )
