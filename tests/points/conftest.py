"""The points service alone: told of facts as the other services tell them, asked as people ask."""

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from chassis.core import keys
from chassis.core.actor import Actor
from chassis.core.tokens import ServiceTokens
from services.points.ledger.tables import Account, Entry, Ledger, Transfer
from services.points.ledger.terms import AccountKey
from services.points.terms import LedgerName, OwnerKind
from tests.points.facts import Told
from tests.town import TestDatabase, Town, actor, copy_of


class Points:
    """The service as its neighbours and its users see it."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.db = town.db("points")
        trusted = keys.read_trusted(town.keys_dir)
        self._tokens = {
            name: ServiceTokens(name, keys.read_signing_key(town.keys_dir, name), trusted)
            for name in ("orders", "events", "identity")
        }

    def client(self, who: Actor | None = None) -> httpx2.AsyncClient:
        return self.town.client("points", who)

    async def send(self, *told: Told) -> list[str]:
        """Deliver messages, those in a row of one service in one batch; what became of each."""
        outcomes: list[str] = []
        for source, batch in itertools.groupby(told, lambda message: message.source):
            outcomes += await self.send_as(source, *batch)
        return outcomes

    async def send_as(self, service: str, *told: Told) -> list[str]:
        """Deliver messages in one batch with the token of a service, be it theirs to tell or not."""
        async with self.client() as client:
            answer = await client.post(
                "/internal/messages",
                json=[message.envelope for message in told],
                headers={"Authorization": f"Bearer {self._tokens[service].issue('points')}"},
            )
        assert answer.status_code == 200, answer.text
        return [result["outcome"] for result in answer.json()["results"]]

    async def tell(self, *told: Told) -> None:
        """Deliver messages that must be accepted."""
        assert set(await self.send(*told)) <= {"accepted"}

    async def deliver(self, *told: Told) -> None:
        """As the relay does: again what failed or was deferred, until all is accepted."""
        waiting = list(told)
        for _ in range(20):
            outcomes = await self.send(*waiting)
            assert "refused" not in outcomes
            waiting = [message for message, outcome in zip(waiting, outcomes, strict=True) if outcome != "accepted"]
            if not waiting:
                return
        raise AssertionError(f"{len(waiting)} messages were never accepted")

    async def account(self, who: Actor, ledger: str) -> dict[str, Any]:
        """The caller's account of a ledger."""
        async with self.client(who) as client:
            answer = await client.get("/api/points/accounts", params={"owner": "me", "ledger": ledger})
        assert answer.status_code == 200, answer.text
        [account] = answer.json()["items"]
        return dict(account)

    async def balance(self, handler: UUID) -> int:
        """What a handler's staff account shows."""
        return int((await self.account(actor("handler", id=handler), "staff"))["balance"])

    async def balances(self, handlers: Sequence[UUID]) -> dict[UUID, int]:
        """The balances of staff wallets as they are stored."""
        ids = {AccountKey(LedgerName.STAFF, OwnerKind.PERSON, handler).id: handler for handler in handlers}
        async with self.db.transaction() as session:
            rows = await session.execute(select(Account.id, Account.balance).where(Account.id.in_(ids)))
            return dict.fromkeys(handlers, 0) | {ids[id_]: balance for id_, balance in rows}

    async def household_balance(self, household: UUID) -> int:
        """What the civic wallet of a household shows."""
        return int((await self.account(actor("resident", household_id=household), "civic"))["balance"])

    async def entries(self, who: Actor, ledger: str, **params: Any) -> list[dict[str, Any]]:
        """The first page of a statement, newest first."""
        account = await self.account(who, ledger)
        async with self.client(who) as client:
            answer = await client.get(f"/api/points/accounts/{account['id']}/entries", params=params)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def check(self) -> None:
        """Every ledger sums to zero, is numbered without a gap, and agrees with its entries."""
        async with self.db.transaction() as session:
            for ledger in LedgerName:
                await check_ledger(session, ledger)


async def check_ledger(session: AsyncSession, ledger: LedgerName) -> None:
    accounts = (await session.scalars(select(Account).where(Account.ledger == ledger))).all()
    numbers = (await session.scalars(select(Transfer.sequence).where(Transfer.ledger == ledger))).all()
    assert sum(account.balance for account in accounts) == 0
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    last = await session.scalar(select(Ledger.last_sequence).where(Ledger.name == ledger))
    assert last == len(numbers)
    last_of = dict.fromkeys((account.id for account in accounts), (0, 0))
    rows = await session.execute(
        select(Entry.account_id, Entry.version, Entry.amount, Entry.balance_after)
        .where(Entry.ledger == ledger)
        .order_by(Entry.account_id, Entry.version)
    )
    sides = 0
    for account_id, version, amount, balance_after in rows:
        before, balance = last_of[account_id]
        assert (version, balance_after) == (before + 1, balance + amount)
        last_of[account_id] = version, balance_after
        sides += 1
    assert sides == 2 * len(numbers)
    assert last_of == {account.id: (account.version, account.balance) for account in accounts}


@asynccontextmanager
async def service_on(database: TestDatabase, keys_dir: Path, home: Path, **overrides: Any) -> AsyncIterator[Points]:
    """The points service on a database; of identity there is only what publishes its keys. `overrides`: settings."""
    town = Town(database, keys_dir, home)
    signing = keys.read_signing_keys(keys_dir / "access-tokens.json")
    published = JSONResponse({"keys": [key.as_dict(private=False) for key in signing]})

    async def identity(scope: Scope, receive: Receive, send: Send) -> None:
        await published(scope, receive, send)

    town.directory.host("identity", identity)
    try:
        await town.start("points", **overrides)
        yield Points(town)
    finally:
        await town.close()


@pytest.fixture(scope="module")
def shared_database(migrated: TestDatabase) -> Iterator[TestDatabase]:
    """One database for a module's tests that look only at people and orders of their own.

    A ledger's time never runs backwards: what one test posts in the future would reach into every other's present.
    """
    with copy_of(migrated) as database:
        yield database


@pytest.fixture(scope="module")
async def points(
    shared_database: TestDatabase, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Points]:
    """The service that a module's tests share: each makes its own people and orders, and changes no rules."""
    async with service_on(shared_database, keys_dir, tmp_path_factory.mktemp("points")) as service:
        yield service


@pytest.fixture
async def own_points(database: TestDatabase, keys_dir: Path, tmp_path: Path) -> AsyncIterator[Points]:
    """A service of the test's own: for a test that adds rules or counts everything there is."""
    async with service_on(database, keys_dir, tmp_path) as service:
        yield service
