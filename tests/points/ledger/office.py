"""A ledger writer on a database of its own, as the service has it but without the service around it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import select, text

from beiyuan.installation import service_settings
from chassis.core import clock, keys
from chassis.core.crypto import Vault
from chassis.core.db import Database
from chassis.core.errors import DomainError
from chassis.core.idempotency import Reply, RequestKey
from chassis.core.ids import new_id
from chassis.core.metrics import Metrics
from services.points.ledger.actions import Posting
from services.points.ledger.core.commands import Command, Linked, Transfer
from services.points.ledger.core.state import Result
from services.points.ledger.tables import Account
from services.points.ledger.tables import Transfer as Row
from services.points.ledger.terms import AccountKey, TransferCode, household_wallet, issuance
from services.points.ledger.writer import Writer
from services.points.terms import LedgerName
from tests.points.conftest import check_ledger
from tests.town import PATIENCE

T = TypeVar("T")


class Office:
    """A writer, and what the database says of its work."""

    def __init__(self, db: Database, vault: Vault, **bounds: Any) -> None:
        self.db = db
        self.vault = vault
        self.writer = Writer(db, vault, Metrics("points"), **bounds)

    def beside(self, **bounds: Any) -> "Office":
        """Another writer on the same database, as another process has one."""
        return Office(self.db, self.vault, **bounds)

    async def credit(self, wallets: Sequence[AccountKey], amount: int) -> None:
        """Give each so many points."""
        for answer in await self.writer.submit_all(Posting, [give(wallet, amount) for wallet in wallets]):
            assert not isinstance(answer, DomainError), answer

    async def ask(self, command: Command | Linked, key: RequestKey | None = None) -> tuple[Reply, bool]:
        """Ask as a route does, with an answer to keep."""
        return await self.writer.reply(Posting, command, rendered, key=key)

    async def balances(self, wallets: Sequence[AccountKey]) -> list[int]:
        """What the accounts hold."""
        async with self.db.transaction() as session:
            found = {row.id: row.balance for row in await session.execute(select(Account.id, Account.balance))}
        return [found.get(wallet.id, 0) for wallet in wallets]

    async def references(self) -> list[str]:
        """Of all transfers, in the order of their numbers."""
        async with self.db.transaction() as session:
            return list(await session.scalars(select(Row.reference).order_by(Row.ledger, Row.sequence)))

    async def transactions(self) -> int:
        """In how many transactions the transfers were written."""
        async with self.db.transaction() as session:
            return await session.scalar(text("SELECT count(DISTINCT xmin::text) FROM transfer")) or 0

    async def check(self) -> None:
        """Both ledgers sum to zero and are numbered without a gap."""
        async with self.db.transaction() as session:
            for ledger in LedgerName:
                await check_ledger(session, ledger)


@asynccontextmanager
async def office_on(url: str, keys_dir: Path, home: Path, **settings: Any) -> AsyncIterator[Office]:
    """An office on the database at `url`."""
    db = Database(
        service_settings("points", database_url=url, home=home, keys_dir=keys_dir, **(PATIENCE | settings)),
        schema="points",
    )
    db.sessions.configure(info={"schema": "points"})
    office = Office(db, Vault(keys.read_data_keys(keys_dir, "points")))
    try:
        yield office
        await office.writer.close()
    finally:
        await db.dispose()


def wallets(number: int) -> list[AccountKey]:
    """Wallets of so many new households."""
    return [household_wallet(new_id()) for _ in range(number)]


def give(wallet: AccountKey, amount: int, reference: str | None = None) -> Transfer:
    """Points out of nothing."""
    return move(issuance(wallet.ledger), wallet, amount, reference)


def move(debit: AccountKey, credit: AccountKey, amount: int, reference: str | None = None) -> Transfer:
    """Points from one account to another."""
    return Transfer(debit, credit, amount, TransferCode.ADJUSTMENT, reference or f"test/{new_id()}", clock.now())


def key(name: str, body: bytes = b"the same") -> RequestKey:
    """A request's key; `body` stands for its body."""
    return RequestKey("somebody", "doing something", name, body.ljust(32, b"."))


def rendered(answer: tuple[Result, ...] | DomainError) -> Reply:
    """What is answered: the reference, or the refusal's code."""
    if isinstance(answer, DomainError):
        return Reply(answer.status, "application/problem+json", f"{answer.code}: {answer}".encode())
    assert answer[0].transfer is not None
    return Reply(201, "application/json", answer[0].transfer.reference.encode())


async def all_of(*attempts: Awaitable[T]) -> list[T | BaseException]:
    """Let them run at once; what each gave or raised."""
    return await asyncio.gather(*attempts, return_exceptions=True)


def id_of(answer: tuple[Result, ...]) -> UUID:
    """The id of the transfer that was asked for."""
    assert answer[0].transfer is not None
    return answer[0].transfer.id
