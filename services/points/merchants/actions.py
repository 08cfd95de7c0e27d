"""What merchants do, and how they and their keys come on record."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.crypto import Vault
from chassis.core.errors import DomainError
from services.points.coupons import actions as coupons
from services.points.coupons import queries as coupon_queries
from services.points.coupons.life import Standing, Till, check_usable
from services.points.coupons.tables import CouponLife
from services.points.merchants import queries, rules, sandbox, signing
from services.points.merchants.errors import KeyNotAcceptable, NonceReused, SignError, TooManyKeys
from services.points.merchants.schemas import CouponOut, PrepareIn, PrepareOut, in_beijing, in_capitals
from services.points.merchants.signing import Credentials
from services.points.merchants.tables import Merchant, MerchantKey, Store
from services.points.merchants.terms import Algorithm, Caller, MerchantState

KEYS_OF_A_KIND = 2


async def admit(
    session: AsyncSession, credentials: Credentials, message: bytes, found: tuple[Merchant | None, MerchantKey | None]
) -> Caller:
    """Check a signed request in the order of the protocol, and remember its nonce. The caller commits.

    `found` is the key that the header names. Raises TimestampExpired, then SignError (the key, then the signature),
    then NonceReused: what is no request of the merchant's burns no nonce.
    """
    at = clock.now()
    merchant, key = found
    rules.check_timestamp(credentials.timestamp, at)
    key = rules.check_key(key, credentials.algorithm, at)
    if merchant is None:
        raise SignError
    signing.verify(key.public_key, key.algorithm, message, credentials.signature)
    if not await queries.keep_nonce(session, merchant.id, key.serial_no, credentials.nonce, at):
        raise NonceReused
    return Caller(
        merchant_id=merchant.id,
        mchid=merchant.mchid,
        serial_no=key.serial_no,
        algorithm=key.algorithm,
        sandbox=key.sandbox,
        suspended=merchant.state is MerchantState.SUSPENDED,
    )


async def prepare_coupon(session: AsyncSession, vault: Vault, caller: Caller, wanted: PrepareIn) -> PrepareOut:
    """What a code stands for, and a token in its place where it can be used. Changes nothing but counts of wrong codes.

    Raises MerchantSuspended, NotOwnStore, CouponNotFound, CouponCodeStale, TooManyWrongCodes.
    """
    at = clock.now()
    store = (caller.merchant_id, wanted.store_id)
    refusal = rules.reason_against(caller, at_own_store=store in await queries.stores_among(session, {store}))
    if refusal is not None:
        raise refusal
    if caller.sandbox:
        coupon: CouponLife = await sandbox.judge_code(session, vault, caller, wanted.coupon_code, at)
    else:
        coupon = await coupons.judge_code(
            session, vault, wanted.coupon_code, caller.merchant_id, at, store_id=wanted.store_id
        )
    stands = Standing.of(coupon, at)
    reason = _reason_against(coupon, Till(caller.merchant_id, wanted.store_id), at)
    expires_at = rules.token_expiry(at, coupon.expires_at)
    token = rules.prepare_token(rules.token_key(vault), caller, wanted.store_id, coupon.id, expires_at)
    return PrepareOut(
        coupon_id=coupon.id,
        state=in_capitals(stands.state),
        usable=reason is None,
        reason=reason,
        reward_title=coupon.title,
        face_fen=coupon.face_fen,
        payable_fen=coupon.payable_fen,
        expires_at=in_beijing(coupon.expires_at),
        locked_until=in_beijing(stands.locked_until) if stands.locked_until else None,
        prepare_token=token if reason is None else None,
        prepare_token_expires_at=in_beijing(expires_at) if reason is None else None,
    )


async def show_coupon(session: AsyncSession, caller: Caller, coupon_id: str) -> CouponOut:
    """A coupon as a merchant that honours it may see it: nothing of whose it is. Raises CouponNotFound."""
    if caller.sandbox:
        coupon: CouponLife = await sandbox.coupon_of(session, caller, coupon_id)
    else:
        coupon = await coupon_queries.coupon_for_merchant(session, coupon_id, caller.merchant_id)
    stands = Standing.of(coupon, clock.now())
    here = coupon.used_by == caller.merchant_id
    return CouponOut(
        coupon_id=coupon.id,
        state=in_capitals(stands.state),
        reward_title=coupon.title,
        face_fen=coupon.face_fen,
        payable_fen=coupon.payable_fen,
        expires_at=in_beijing(coupon.expires_at),
        locked_until=in_beijing(stands.locked_until) if stands.locked_until else None,
        use_no=coupon.use_no if here else None,
        store_id=coupon.store_id if here else None,
        use_time=in_beijing(coupon.use_time) if here and coupon.use_time else None,
        used_at=in_beijing(coupon.used_at) if here and coupon.used_at else None,
    )


async def record_merchant(
    session: AsyncSession, merchant_id: UUID, *, mchid: str, name: str, stores: Mapping[str, str]
) -> None:
    """Put a merchant (an organisation's id) and its stores (names by id) on record, or bring them up to date."""
    row = {"mchid": mchid, "name": name}
    await session.execute(
        insert(Merchant)
        .values(id=merchant_id, state=MerchantState.ACTIVE, **row)
        .on_conflict_do_update(index_elements=[Merchant.id], set_=row)
    )
    for store_id, store_name in sorted(stores.items()):
        await session.execute(
            insert(Store)
            .values(merchant_id=merchant_id, id=store_id, name=store_name)
            .on_conflict_do_update(index_elements=[Store.merchant_id, Store.id], set_={"name": store_name})
        )


async def record_key(
    session: AsyncSession,
    mchid: str,
    *,
    serial_no: str,
    algorithm: Algorithm,
    public_key_pem: str,
    sandbox: bool = False,
    not_before: datetime,
    not_after: datetime,
) -> None:
    """Put a merchant's public key on record, or its validity up to date.

    Raises MerchantNotFound; KeyNotAcceptable where it is not such a key, or the serial number is another one's (what
    was signed under it must stay provable); TooManyKeys where two others of its kind (live or sandbox) are not over
    yet.
    """
    merchant = await queries.lock_merchant(session, mchid)
    signing.check_key(serial_no, public_key_pem, algorithm)
    known = {key.serial_no: key for key in await queries.keys_of(session, merchant.id)}
    at = clock.now()
    others = [key for key in known.values() if key.serial_no != serial_no and key.sandbox == sandbox]
    if not_after > at and sum(not rules.is_over(key, at) for key in others) >= KEYS_OF_A_KIND:
        raise TooManyKeys
    key = known.get(serial_no)
    if key is None:
        key = MerchantKey(merchant_id=merchant.id, serial_no=serial_no, revoked_at=None)
        key.algorithm, key.public_key, key.sandbox = algorithm, public_key_pem, sandbox
        session.add(key)
    elif (key.algorithm, key.public_key, key.sandbox) != (algorithm, public_key_pem, sandbox):
        raise KeyNotAcceptable("Another key has this serial number.")
    key.not_before, key.not_after = not_before, not_after
    await session.flush()


async def revoke_key(session: AsyncSession, mchid: str, serial_no: str) -> None:
    """From now on a key is good for nothing. Raises MerchantNotFound; a key that is not there is not good anyway."""
    merchant = await queries.lock_merchant(session, mchid)
    for key in await queries.keys_of(session, merchant.id):
        if key.serial_no == serial_no and key.revoked_at is None:
            key.revoked_at = clock.now()
    await session.flush()


def _reason_against(coupon: CouponLife, till: Till, at: datetime) -> str | None:
    """The code with which `use` would refuse the coupon there at this moment."""
    try:
        check_usable(coupon, at, till)
    except DomainError as error:
        return error.code.upper()
    return None
