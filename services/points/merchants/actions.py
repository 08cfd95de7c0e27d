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
from services.points.coupons.errors import CouponNotFound
from services.points.coupons.rules import check_usable, read_code, state_at
from services.points.coupons.tables import Coupon
from services.points.coupons.use import Use
from services.points.merchants import queries, rules, signing
from services.points.merchants.errors import (
    CodeOrToken,
    KeyNotAcceptable,
    NonceReused,
    SignError,
    TooManyKeys,
)
from services.points.merchants.schemas import CouponOut, PrepareIn, PrepareOut, UseIn, in_beijing, in_capitals
from services.points.merchants.signing import Credentials
from services.points.merchants.tables import Merchant, MerchantKey, Store
from services.points.merchants.terms import Algorithm, Caller, MerchantState, NumberKey, Operation
from services.points.merchants.use import NumberedUse

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

    Raises NoAuth, CouponNotFound, CouponCodeStale, TooManyWrongCodes.
    """
    at = clock.now()
    store = (caller.merchant_id, wanted.store_id)
    refusal = rules.reason_against(caller, at_own_store=store in await queries.stores_among(session, {store}))
    if refusal is not None:
        raise refusal
    coupon = await coupons.judge_code(session, vault, wanted.coupon_code, caller.merchant_id, at)
    reason = _reason_against(coupon, at)
    expires_at = rules.token_expiry(at, coupon.expires_at)
    token = rules.prepare_token(_token_key(vault), caller, wanted.store_id, coupon.id, expires_at)
    return PrepareOut(
        coupon_id=coupon.id,
        state=in_capitals(state_at(coupon, at)),
        usable=reason is None,
        reason=reason,
        reward_title=coupon.reward.title,
        face_fen=coupon.face_fen,
        payable_fen=coupon.payable_fen,
        expires_at=in_beijing(coupon.expires_at),
        prepare_token=token if reason is None else None,
        prepare_token_expires_at=in_beijing(expires_at) if reason is None else None,
    )


def use_asked(vault: Vault, caller: Caller, wanted: UseIn) -> NumberedUse:
    """What a till asks for when it redeems a coupon, to be carried out by the ledgers' writer.

    Raises CodeOrToken, CouponCodeMalformed, PrepareTokenInvalid and UseTimeAhead: no number is taken for these.
    """
    coupon_id, otp, token_expires_at = _coupon_meant(vault, caller, wanted)
    rules.check_use_time(wanted.use_time, clock.now())
    parameters = rules.parameters_hash(
        coupon_id=coupon_id, store_id=wanted.store_id, use_time=wanted.use_time, out_trade_no=wanted.out_trade_no
    )
    use = Use(
        vault=vault,
        coupon_id=coupon_id,
        otp=otp,
        merchant_id=caller.merchant_id,
        mchid=caller.mchid,
        store_id=wanted.store_id,
        use_time=wanted.use_time,
        out_trade_no=wanted.out_trade_no,
    )
    number = number_of(caller, Operation.USE, wanted.out_request_no)
    return NumberedUse(caller, wanted, number, parameters, token_expires_at, use)


async def show_coupon(session: AsyncSession, caller: Caller, coupon_id: str) -> CouponOut:
    """A coupon as a merchant that honours it may see it: nothing of whose it is. Raises CouponNotFound."""
    if caller.sandbox:
        raise CouponNotFound
    coupon = await coupon_queries.coupon_for_merchant(session, coupon_id, caller.merchant_id)
    here = coupon.used_by == caller.merchant_id
    return CouponOut(
        coupon_id=coupon.id,
        state=in_capitals(state_at(coupon, clock.now())),
        reward_title=coupon.reward.title,
        face_fen=coupon.face_fen,
        payable_fen=coupon.payable_fen,
        expires_at=in_beijing(coupon.expires_at),
        use_no=coupon.use_no if here else None,
        store_id=coupon.store_id if here else None,
        use_time=in_beijing(coupon.use_time) if here and coupon.use_time else None,
        used_at=in_beijing(coupon.used_at) if here and coupon.used_at else None,
    )


def number_of(caller: Caller, operation: Operation, out_request_no: str) -> NumberKey:
    """What this merchant's number is unique for."""
    return NumberKey(caller.merchant_id, caller.sandbox, operation, out_request_no)


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


def _coupon_meant(vault: Vault, caller: Caller, wanted: UseIn) -> tuple[str, str | None, datetime | None]:
    """The id of the coupon that is meant; the digits that were shown with it; or, by a token, when that expires."""
    if (wanted.coupon_code is None) == (wanted.prepare_token is None):
        raise CodeOrToken
    if wanted.coupon_code is not None:
        return *read_code(wanted.coupon_code), None
    assert wanted.prepare_token is not None
    coupon_id, expires_at = rules.read_prepare_token(_token_key(vault), caller, wanted.store_id, wanted.prepare_token)
    return coupon_id, None, expires_at


def _token_key(vault: Vault) -> bytes:
    return vault.derive("merchants.prepare_token")


def _reason_against(coupon: Coupon, at: datetime) -> str | None:
    """The code with which `use` would refuse the coupon at this moment."""
    try:
        check_usable(coupon, at)
    except DomainError as error:
        return error.code.upper()
    return None
