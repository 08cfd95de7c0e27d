"""What becomes of the lots of a wallet: made by credits, spent, expired, and owed where nothing is left."""

from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from chassis.core.beijing import BEIJING
from services.points.ledger.core.journal import Journal, Shelf
from services.points.ledger.core.posting import account, post
from services.points.ledger.core.state import AccountState, LotState, NewTransfer
from services.points.ledger.terms import TransferCode, expired


@lru_cache(maxsize=64)
def expiry_of(posted_at: datetime) -> datetime:
    """The first moment at which points posted then cannot be spent: they last until the end of the next year."""
    return datetime(posted_at.astimezone(BEIJING).year + 2, 1, 1, tzinfo=BEIJING).astimezone(UTC)


def receive(journal: Journal, wallet: AccountState, transfer: NewTransfer, amount: int) -> None:
    """Points that a transfer brings to a wallet: they pay what it owes, and the rest makes the transfer's lot."""
    if wallet.debt:
        amount -= pay(journal, wallet, amount)
    if amount:
        expires_at = expiry_of(transfer.posted_at)
        journal.add_lot(LotState(transfer.id, transfer.sequence, wallet.id, expires_at, amount, amount, 0))


def pay(journal: Journal, wallet: AccountState, amount: int) -> int:
    """Pay what a wallet owes, as far as the amount goes; says how much that was."""
    paid = min(wallet.debt, amount)
    if paid:
        journal.edit_account(wallet)
        wallet.debt -= paid
    return paid


def draw(journal: Journal, wallet: AccountState, amount: int) -> list[tuple[LotState, int]]:
    """Take free points of a wallet that has them, the first to expire first. Where they go is the caller's."""
    drawn: list[tuple[LotState, int]] = []
    shelf = journal.shelf(wallet.id)
    while amount:
        assert shelf, "what is available is free in some lot"
        lot = shelf[0]
        part = min(lot.free, amount)
        take_free(journal, shelf, lot, part)
        drawn.append((lot, part))
        amount -= part
    return drawn


def spend(journal: Journal, wallet: AccountState, transfer: NewTransfer) -> None:
    """Take a transfer's amount from the free lots of the wallet that it debits."""
    taken = journal.state.transfers[transfer.id].taken
    for lot, part in draw(journal, wallet, transfer.amount):
        taken[lot.id] = part
        journal.allocate(transfer.id, lot.id, -part)


def take_free(journal: Journal, shelf: Shelf, lot: LotState, amount: int) -> None:
    """Lessen what is free of a lot on its account's shelf."""
    if amount == lot.free:
        journal.remove(shelf, lot)
    journal.edit_lot(lot)
    lot.free -= amount


def add_free(journal: Journal, lot: LotState, amount: int) -> None:
    """Add to what is free of a lot."""
    journal.edit_lot(lot)
    lot.free += amount
    if lot.free == amount:
        journal.place(lot)


def sweep(journal: Journal, wallet: AccountState) -> None:
    """Let all that is overdue of a wallet expire, the first to expire first."""
    shelf = journal.shelf(wallet.id)
    if not shelf:
        return
    at = journal.moment(wallet.ledger)
    while shelf and shelf[0].expires_at <= at:
        expire_free(journal, wallet, shelf[0])


def expire_free(journal: Journal, wallet: AccountState, lot: LotState) -> NewTransfer:
    """What is free of an overdue lot goes to the expired account."""
    amount = lot.free
    transfer = expire(journal, wallet, lot, amount, f"expiry/{lot.id}")
    take_free(journal, journal.shelf(wallet.id), lot, amount)
    return transfer


def give_back(journal: Journal, wallet: AccountState, parts: list[tuple[LotState, int]], cause_id: UUID) -> None:
    """Points that come back to the lots they were taken from keep their expiry: what is overdue expires at once."""
    at = journal.moment(wallet.ledger)
    for lot, amount in parts:
        if lot.expires_at > at:
            add_free(journal, lot, amount)
        else:
            expire(journal, wallet, lot, amount, f"expiry/{lot.id}/{cause_id}")


def expire(journal: Journal, wallet: AccountState, lot: LotState, amount: int, reference: str) -> NewTransfer:
    """Points of a lot, neither free nor held any more, go to the expired account: they expired when the lot did."""
    credit = account(journal, expired(wallet.ledger))
    transfer = post(journal, wallet, credit, amount, TransferCode.EXPIRY, reference, lot.expires_at)
    journal.allocate(transfer.id, lot.id, -amount)
    origin = journal.state.transfers.get(lot.id)
    if origin is not None:
        journal.edit_past(origin)
        origin.expiries[transfer.id] = amount
    return transfer


def pay_debt(journal: Journal, wallet: AccountState, cause_id: UUID) -> None:
    """Whatever is free of a wallet pays what it owes, the first to expire first. (Nothing of it may be overdue.)"""
    shelf = journal.shelf(wallet.id)
    while wallet.debt and shelf:
        lot = shelf[0]
        part = pay(journal, wallet, lot.free)
        take_free(journal, shelf, lot, part)
        journal.allocate(cause_id, lot.id, -part)
