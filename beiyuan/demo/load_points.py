"""Writes the demo town's merchants, their public keys and the rewards into the points service's database."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from beiyuan.demo import town
from beiyuan.demo.load_people import present
from beiyuan.demo.merchant_keys import MerchantKey
from chassis.core.crypto import Vault
from chassis.core.runtime import Runtime
from services.points.counter import actions as counters
from services.points.counter.tables import Clerk
from services.points.merchants import actions as merchants
from services.points.merchants import queries
from services.points.merchants import tables as merchant_tables
from services.points.merchants.rules import is_over
from services.points.merchants.terms import Algorithm
from services.points.rewards import actions as rewards
from services.points.rewards import tables as reward_tables
from services.points.rewards.terms import Audience, LimitPeriod, RewardKind

_KEY_GOOD_FOR = timedelta(days=20 * 365)
_OFFERED_SINCE = timedelta(days=30)
_OFFERED_FOR = timedelta(days=10 * 365)


async def load_points(points: Runtime, keys: Mapping[str, MerchantKey], now: datetime) -> bool:
    """Write what is missing, in one transaction; whether anything was. `keys` are the merchants', by mchid."""
    async with points.db.transaction() as session:
        written = [
            await _merchants(session),
            await _clerks(session, points.vault),
            await _keys(session, keys, now),
            await _rewards(session, now),
        ]
    return any(written)


async def _merchants(session: AsyncSession) -> bool:
    rows = await session.execute(select(merchant_tables.Store.merchant_id, merchant_tables.Store.id))
    known = {(row.merchant_id, row.id) for row in rows}
    missing = [
        merchant
        for merchant in town.MERCHANTS.values()
        if not known >= {(merchant.id, store_id) for store_id in merchant.stores}
    ]
    for merchant in missing:
        await merchants.record_merchant(
            session, merchant.id, mchid=merchant.mchid, name=merchant.name, stores=merchant.stores
        )
    return bool(missing)


async def _clerks(session: AsyncSession, vault: Vault) -> bool:
    known = await present(session, Clerk.id, (clerk.id for clerk in town.CLERKS))
    missing = [clerk for clerk in town.CLERKS if clerk.id not in known]
    for clerk in missing:
        await counters.record_clerk(
            session,
            vault,
            clerk.id,
            person_id=clerk.person.id,
            merchant_id=clerk.merchant.id,
            store_id=clerk.store_id,
            name=clerk.called,
        )
    return bool(missing)


async def _keys(session: AsyncSession, keys: Mapping[str, MerchantKey], now: datetime) -> bool:
    ids = [merchant.id for merchant in town.MERCHANTS.values()]
    serials = select(merchant_tables.MerchantKey.serial_no)
    known = set(await session.scalars(serials.where(merchant_tables.MerchantKey.merchant_id.in_(ids))))
    wanted = [
        (merchant, key.public_key, serial_no, sandbox)
        for merchant in town.MERCHANTS.values()
        for key in [keys[merchant.mchid]]
        for serial_no, sandbox in ((key.serial_no, False), (key.sandbox_serial_no, True))
    ]
    missing = [each for each in wanted if each[2] not in known]
    for merchant, public_key, serial_no, sandbox in missing:
        await _revoke_lost_keys(session, merchant, now, sandbox=sandbox)
        await merchants.record_key(
            session,
            merchant.mchid,
            serial_no=serial_no,
            algorithm=Algorithm.RSA,
            public_key_pem=public_key,
            sandbox=sandbox,
            not_before=now,
            not_after=now + _KEY_GOOD_FOR,
        )
    return bool(missing)


async def _revoke_lost_keys(session: AsyncSession, merchant: town.Merchant, now: datetime, *, sandbox: bool) -> None:
    """A merchant has two keys of a kind at most. Earlier ones than the last were lost with the home folders they lay
    in.
    """
    of_kind = [key for key in await queries.keys_of(session, merchant.id) if key.sandbox == sandbox]
    live = [key for key in of_kind if not is_over(key, now)]
    for key in sorted(live, key=lambda key: key.not_before)[:-1]:
        await merchants.revoke_key(session, merchant.mchid, key.serial_no)


async def _rewards(session: AsyncSession, now: datetime) -> bool:
    known = await present(session, reward_tables.Reward.id, (reward.id for reward in town.REWARDS.values()))
    missing = [reward for reward in town.REWARDS.values() if reward.id not in known]
    for reward in missing:
        await rewards.record_reward(
            session,
            reward.id,
            title=reward.title,
            description=reward.description,
            kind=RewardKind(reward.kind),
            cost=reward.cost,
            face_fen=reward.face_fen,
            payable_fen=reward.payable_fen,
            stock=reward.stock,
            household_limit=reward.limit,
            limit_period=LimitPeriod(reward.period),
            daily_stock=reward.a_day,
            audience=Audience(reward.audience),
            refund_on_expiry=reward.refund,
            valid_days=reward.valid_days,
            starts_at=now - _OFFERED_SINCE,
            ends_at=now + _OFFERED_FOR,
            merchant_ids=[merchant.id for merchant in reward.merchants],
        )
    return bool(missing)
