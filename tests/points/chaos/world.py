"""What the storm rages over: a few wallets that everybody posts to, one reward, one till. Every process knows it."""

import base64
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import OKPKey

from chassis.core import clock, keys
from chassis.core.ids import new_id
from chassis.core.tokens import ServiceTokens, encode_access_token
from services.points.ledger.actions import post
from services.points.ledger.core.commands import Transfer
from services.points.ledger.terms import AccountKey, TransferCode, household_wallet, issuance
from services.points.merchants import actions as merchants
from services.points.merchants.terms import Algorithm
from services.points.terms import LedgerName, OwnerKind
from tests import openssl
from tests.points.conftest import Points, service_on
from tests.points.rewards.conftest import Household, Shop
from tests.town import TestDatabase, actor

POOREST, RICH = 60, 1_000_000_000
"""Points of those who often have too few, and of the one family that always has enough."""
STOCK, COST = 60, 12
FADING = 12
"""Lots of each fading family, of `FADING_POINTS` each: they expire one after another while the storm rages."""
FADING_POINTS = 30


@dataclass(frozen=True)
class World:
    """Who and what there is. `families` are poor; `fading` ones too, and their points expire meanwhile; each first of
    `joining` joins the second one some time.
    """

    seed: int
    keys_dir: Path
    urls: tuple[str, ...]
    families: tuple[UUID, ...]
    fading: tuple[UUID, ...]
    rich: UUID
    joining: tuple[tuple[UUID, UUID], ...]
    handlers: tuple[UUID, ...]
    admins: tuple[UUID, ...]
    reward_id: UUID
    mchid: str
    till_key: str
    till_serial: str

    @property
    def wallets(self) -> list[UUID]:
        """The households whose wallets are posted to."""
        return [*self.families, *self.fading, self.rich, *(family for pair in self.joining for family in pair)]


class Tokens:
    """Who may say that they are who."""

    def __init__(self, world: World) -> None:
        self._people: dict[str, str] = {}
        self._world = world
        self._key: OKPKey = keys.read_signing_keys(world.keys_dir / "access-tokens.json")[0]
        trusted = keys.read_trusted(world.keys_dir)
        self._services = {
            name: ServiceTokens(name, keys.read_signing_key(world.keys_dir, name), trusted)
            for name in ("orders", "events", "identity")
        }
        self._till = load_pem_private_key(world.till_key.encode(), None)

    def header(self, who: str) -> str:
        """The Authorization of `admin/2`, `family/<id>`, or a service by its name."""
        if who in self._services:
            return f"Bearer {self._services[who].issue('points')}"
        if who not in self._people:
            kind, name = who.split("/")
            if kind == "admin":
                person = actor("administrator", id=self._world.admins[int(name)])
            else:
                person = actor("resident", id=UUID(name), household_id=UUID(name))  # its one member
            self._people[who] = f"Bearer {encode_access_token(self._key, person, seconds=7200)}"
        return self._people[who]

    def sign(self, message: bytes) -> str:
        """As the till signs."""
        signature: bytes = self._till.sign(message)  # type: ignore[union-attr, call-arg]  # it is Ed25519
        return base64.b64encode(signature).decode()


async def prepare(database: TestDatabase, keys_dir: Path, home: Path, seed: int, urls: tuple[str, ...]) -> World:
    """Make the world: who is poor has a little, who is rich has plenty, the reward is on offer."""
    private, public = openssl.new_ed25519_key()
    merchant_id = new_id()
    mchid, serial = f"{merchant_id.int % 10**10:010d}", merchant_id.hex.upper()
    async with service_on(database, keys_dir, home) as points:
        async with points.db.transaction() as session:
            await merchants.record_merchant(
                session, merchant_id, mchid=mchid, name="麦垛面包房", stores={"store-1": "总店"}
            )
            await merchants.record_key(
                session,
                mchid,
                serial_no=serial,
                algorithm=Algorithm.ED25519,
                public_key_pem=public,
                not_before=clock.now() - timedelta(days=1),
                not_after=clock.now() + timedelta(days=365),
            )
        reward_id = await Shop(points).reward(merchant_ids=[merchant_id], stock=STOCK, cost=COST)
        world = World(
            seed=seed,
            keys_dir=keys_dir,
            urls=urls,
            families=(new_id(), new_id()),
            fading=(new_id(),),
            rich=new_id(),
            joining=((new_id(), new_id()), (new_id(), new_id())),
            handlers=(new_id(), new_id()),
            admins=tuple(new_id() for _ in range(8)),
            reward_id=reward_id,
            mchid=mchid,
            till_key=private,
            till_serial=serial,
        )
        await Shop(points).know(*(Household(id=family, person_id=family) for family in (*world.families, world.rich)))
        await _fund(points, world)
    return world


async def _fund(points: Points, world: World) -> None:
    gifts: list[tuple[AccountKey, int]] = [(household_wallet(world.rich), RICH)]
    gifts += [(household_wallet(family), FADING_POINTS) for family in world.fading for _ in range(FADING)]
    poor = [*world.families, *(family for pair in world.joining for family in pair)]
    gifts += [(household_wallet(family), POOREST) for family in poor]
    gifts += [(AccountKey(LedgerName.STAFF, OwnerKind.PERSON, handler), POOREST) for handler in world.handlers]
    async with points.db.transaction() as session:
        for number, (wallet, amount) in enumerate(gifts):
            source = issuance(wallet.ledger)
            gift = Transfer(source, wallet, amount, TransferCode.ADJUSTMENT, f"before/{number}", clock.now())
            await post(session, gift)


def let_fade(database: TestDatabase, world: World, seconds: float) -> None:
    """From now on the lots of the fading families expire, one after another, over so many seconds."""
    with psycopg.connect(database.admin_url, options="-c search_path=points") as owner:
        for family in world.fading:
            wallet = household_wallet(family).id
            lots = owner.execute("SELECT id FROM lot WHERE account_id = %s ORDER BY sequence", [wallet]).fetchall()
            for number, (lot,) in enumerate(lots, start=1):
                moment = clock.now() + timedelta(seconds=seconds * number / (len(lots) + 1))
                owner.execute("UPDATE lot SET expires_at = %s WHERE id = %s", [moment, lot])
