"""An administrator's desk, from which points are posted by hand."""

import re
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy.dialects.postgresql import insert

from chassis.core import clock
from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.points.ledger.tables import Account
from services.points.ledger.terms import AccountKey, household_wallet
from services.points.terms import LedgerName, OwnerKind
from tests.points.conftest import Points
from tests.town import actor

_IS_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TRANSFERS = "/api/points/transfers"
HOLDS = "/api/points/holds"
POSTINGS = "/api/points/postings"
ACCOUNTS = "/api/points/accounts"

ISSUANCE = {"ledger": "civic", "owner_kind": "system", "purpose": "issuance"}
STAFF_ISSUANCE = {"ledger": "staff", "owner_kind": "system", "purpose": "issuance"}


def wallet(household: UUID) -> dict[str, Any]:
    """A household's wallet by what it is."""
    return {"ledger": "civic", "owner_kind": "household", "owner_id": str(household)}


def staff_wallet(person: UUID) -> dict[str, Any]:
    """A member of staff's wallet by what it is."""
    return {"ledger": "staff", "owner_kind": "person", "owner_id": str(person), "purpose": "wallet"}


def wallet_id(household: UUID) -> str:
    """The id of a household's wallet."""
    return str(AccountKey(LedgerName.CIVIC, OwnerKind.HOUSEHOLD, household).id)


def gift(household: UUID, amount: int = 100, **further: Any) -> dict[str, Any]:
    """Points for a household, out of issuance."""
    return {"debit": ISSUANCE, "credit": wallet(household), "amount": amount, "reason": "补记志愿服务"} | further


def taking(household: UUID, amount: int, **further: Any) -> dict[str, Any]:
    """Points back from a household."""
    return {"debit": wallet(household), "credit": ISSUANCE, "amount": amount, "reason": "更正"} | further


def _new(key: AccountKey) -> dict[str, Any]:
    account = Account.open(key, clock.now())
    return {column.name: getattr(account, column.name) for column in Account.__table__.columns}


class Desk:
    """One administrator, and what they ask for; `second` is another one."""

    def __init__(self, points: Points) -> None:
        self.points = points
        self.admin = actor("administrator")
        self.second = actor("administrator")

    async def post(
        self,
        path: str,
        body: Any = None,
        *,
        who: Actor | None = None,
        key: str | None = "",
        known: bool = True,
        **params: Any,
    ) -> httpx2.Response:
        """Ask for something, under a key of its own unless one is given (none: without). The households that it names
        have had points before, unless they are not `known`.
        """
        if known:
            await self._make_known(body)
        headers = {} if key is None else {"Idempotency-Key": key or str(new_id())}
        async with self.points.client(who or self.admin) as client:
            return await client.post(path, json=body, params=params, headers=headers)

    async def _make_known(self, body: Any) -> None:
        moves = body.get("transfers", [body]) if isinstance(body, dict) else []
        sides = [move.get(side) for move in moves if isinstance(move, dict) for side in ("debit", "credit")]
        named = [side for side in sides if isinstance(side, dict) and side.get("owner_kind") == "household"]
        owners = {str(side.get("owner_id")) for side in named}
        wallets = [household_wallet(UUID(owner)) for owner in sorted(filter(_IS_UUID.fullmatch, owners))]
        if wallets:
            async with self.points.db.transaction() as session:
                await session.execute(insert(Account).on_conflict_do_nothing(), [_new(wallet) for wallet in wallets])

    async def get(self, path: str, *, who: Actor | None = None, **params: Any) -> httpx2.Response:
        async with self.points.client(who or self.admin) as client:
            return await client.get(path, params=params)

    async def done(self, path: str, body: Any = None, *, status: int = 201, **further: Any) -> dict[str, Any]:
        """Ask for something that must be answered so."""
        answer = await self.post(path, body, **further)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    async def refused(self, path: str, body: Any = None, **further: Any) -> tuple[int, str, list[str]]:
        """Ask for something that must be refused: the status, the code, and the fields at fault."""
        answer = await self.post(path, body, **further)
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return answer.status_code, problem["code"], [field["name"] for field in problem["errors"]]

    async def give(self, household: UUID, amount: int = 100) -> dict[str, Any]:
        """Points for a household, without which nothing can be spent."""
        return await self.done(TRANSFERS, gift(household, amount))

    async def balance(self, household: UUID) -> tuple[int, int]:
        """What a household's wallet has: posted, available."""
        account = await self.account(wallet_id(household))
        return account["balance"], account["available"]

    async def balance_or_none(self, household: UUID) -> tuple[int, int] | None:
        """The same; None where no points have ever reached it."""
        answer = await self.get(f"{ACCOUNTS}/{wallet_id(household)}")
        return await self.balance(household) if answer.status_code == 200 and answer.json()["version"] else None

    async def account(self, account_id: str, **params: Any) -> dict[str, Any]:
        answer = await self.get(f"{ACCOUNTS}/{account_id}", **params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def items(self, path: str, *, who: Actor | None = None, **params: Any) -> list[dict[str, Any]]:
        """All of a list, page by page."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = await self.get(path, who=who, **(params | cursor))
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            if answer.json()["next_cursor"] is None:
                return found
            cursor = {"cursor": answer.json()["next_cursor"]}
