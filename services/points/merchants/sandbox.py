"""沙箱: coupons of a merchant's own to try its till with. They go through what live ones do, in the same words, and
nothing comes of it: nothing is posted, billed or announced, and no household has them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.crypto import Vault
from services.points.coupons import life, rules
from services.points.coupons import queries as coupon_queries
from services.points.coupons.errors import CouponNotFound
from services.points.coupons.life import Standing
from services.points.coupons.locks import Lock, Unlock
from services.points.coupons.returns import Return
from services.points.coupons.tables import WrongCodeCount
from services.points.coupons.terms import CouponState, WrongCodeSubject
from services.points.coupons.tills import Shown
from services.points.coupons.use import Use
from services.points.ledger.core.book import Book
from services.points.ledger.needs import Needs
from services.points.merchants import queries
from services.points.merchants.errors import SandboxFull, SandboxOnly
from services.points.merchants.schemas import SandboxCouponIn, SandboxCouponOut, in_beijing, in_capitals
from services.points.merchants.tables import SandboxCoupon
from services.points.merchants.terms import Caller
from services.points.terms import LedgerName

COUPONS_A_DAY = 1000
KEPT = timedelta(days=30)

Asked = Use | Lock | Unlock | Return
Subject = tuple[WrongCodeSubject, str]


async def issue(session: AsyncSession, vault: Vault, caller: Caller, wanted: SandboxCouponIn) -> SandboxCouponOut:
    """A coupon to try with, for this merchant alone. Raises SandboxOnly, SandboxFull."""
    check_sandbox(caller)
    at = clock.now()
    if await queries.sandbox_coupons_since(session, caller.merchant_id, at - timedelta(days=1)) >= COUPONS_A_DAY:
        raise SandboxFull
    coupon_id = f"0{secrets.randbelow(10 ** (rules.ID_DIGITS - 1)):0{rules.ID_DIGITS - 1}d}"
    secret = secrets.token_bytes(rules.SECRET_BYTES).hex()
    coupon = SandboxCoupon(
        id=coupon_id,
        merchant_id=caller.merchant_id,
        reward_title=wanted.reward_title,
        face_fen=wanted.face_fen,
        payable_fen=wanted.payable_fen,
        secret_sealed=vault.seal(secret, coupon_queries.secret_context(coupon_id)),
        state=CouponState.EFFECTIVE,
        issued_at=at,
        expires_at=at + timedelta(seconds=wanted.valid_seconds),
        happened=1,
        locked_until=None,
        locked_by=None,
        locked_store_id=None,
        used_at=None,
        used_by=None,
        mchid=None,
        store_id=None,
        use_time=None,
        use_no=None,
    )
    session.add(coupon)
    await session.flush()
    return shown(vault, coupon, at)


async def show(session: AsyncSession, vault: Vault, caller: Caller, coupon_id: str) -> SandboxCouponOut:
    """A coupon to try with, and its present code, as its household's telephone would show it.

    Raises SandboxOnly, CouponNotFound.
    """
    check_sandbox(caller)
    return shown(vault, await coupon_of(session, caller, coupon_id), clock.now())


async def coupon_of(session: AsyncSession, caller: Caller, coupon_id: str) -> SandboxCoupon:
    """The merchant's own. Raises CouponNotFound."""
    coupon = await queries.sandbox_coupon(session, caller.merchant_id, coupon_id)
    if coupon is None:
        raise CouponNotFound
    return coupon


async def judge_code(session: AsyncSession, vault: Vault, caller: Caller, code: str, at: datetime) -> SandboxCoupon:
    """As `coupons.actions.judge_code`, with the same refusals."""
    coupon_id, otp = rules.read_code(code)
    coupon = await queries.sandbox_coupon(session, caller.merchant_id, coupon_id)
    subjects = _counted_by(str(caller.merchant_id), coupon_id if coupon else None)
    counts = await coupon_queries.lock_wrong_codes(session, subjects, clock.hour_of(at))
    rules.check_code(counts.values(), coupon_queries.open_secret(vault, coupon) if coupon else None, otp, at)
    assert coupon is not None, "a code is right for a coupon alone"
    return coupon


class SandboxCoupons:
    """The deed: what is asked of live coupons, done to those of the sandbox, with the same refusals and no posting.

    It queues up with the live ones: what a number means while another request is under way under it is decided there.
    """

    ledgers = (LedgerName.CIVIC,)

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Asked], /) -> Needs:
        """The coupons and the counts of wrong codes, locked; nothing of the ledger."""
        self._at = at
        self._coupons = await queries.lock_sandbox_coupons(session, {asked.coupon_id for asked in requests})
        counted = {subject for asked in requests if isinstance(asked, Shown) for subject in self._subjects(asked)}
        self._counts = await coupon_queries.lock_wrong_codes(session, counted, clock.hour_of(at))
        return Needs()

    def decide(self, book: Book, asked: Asked, /) -> Standing:
        """The coupon as it stands then."""
        coupon = self._meant(asked)
        match asked:
            case Use():
                life.check_usable(coupon, self._at, asked.till)
                life.use(coupon, asked.till, asked.mchid, asked.use_time, self._at)
            case Lock():
                life.lock(coupon, asked.till, self._at, asked.lasts)
            case Unlock():
                life.unlock(coupon, asked.till, self._at)
            case Return():
                return self._returned(coupon, asked)
        return Standing.of(coupon, self._at)

    async def write(self, session: AsyncSession, /) -> None:
        """The tries that count, and the coupons."""
        await session.flush()

    def _returned(self, coupon: SandboxCoupon, asked: Return) -> Standing:
        life.check_returnable(coupon, asked.use_no, asked.merchant_id, asked.store_id, self._at)
        undone = Standing.of(coupon, self._at)
        life.give_back(coupon)
        return replace(undone, state=rules.state_at(coupon, self._at), at=self._at)

    def _meant(self, asked: Asked) -> SandboxCoupon:
        coupon = self._own(asked)
        if isinstance(asked, Shown) and asked.otp is not None:
            secret = coupon_queries.open_secret(asked.vault, coupon) if coupon else None
            counts: list[WrongCodeCount] = [self._counts[subject] for subject in self._subjects(asked)]
            rules.check_code(counts, secret, asked.otp, self._at)
        if coupon is None:
            raise CouponNotFound
        return coupon

    def _own(self, asked: Asked) -> SandboxCoupon | None:
        coupon = self._coupons.get(asked.coupon_id)
        return coupon if coupon is not None and coupon.merchant_id == asked.merchant_id else None

    def _subjects(self, asked: Shown) -> list[Subject]:
        if asked.otp is None:
            return []
        own = self._coupons.get(asked.coupon_id)
        known = own is not None and own.merchant_id == asked.merchant_id
        return _counted_by(str(asked.merchant_id), asked.coupon_id if known else None)


def check_sandbox(caller: Caller) -> None:
    """Raises SandboxOnly under a live key."""
    if not caller.sandbox:
        raise SandboxOnly


def shown(vault: Vault, coupon: SandboxCoupon, at: datetime) -> SandboxCouponOut:
    """A coupon with the code that it has now, where it can be used."""
    state = rules.state_at(coupon, at)
    has_code = state in (CouponState.EFFECTIVE, CouponState.LOCKED)
    code = rules.code(coupon.id, coupon_queries.open_secret(vault, coupon), at) if has_code else None
    return SandboxCouponOut(
        coupon_id=coupon.id,
        coupon_code=code,
        code_expires_at=in_beijing(rules.code_changes_at(at)) if has_code else None,
        state=in_capitals(state),
        reward_title=coupon.reward_title,
        face_fen=coupon.face_fen,
        payable_fen=coupon.payable_fen,
        expires_at=in_beijing(coupon.expires_at),
    )


def _counted_by(merchant_id: str, coupon_id: str | None) -> list[Subject]:
    """By what wrong codes are counted here, apart from the live ones."""
    own = [(WrongCodeSubject.COUPON, f"sandbox/{coupon_id}")] if coupon_id else []
    return [(WrongCodeSubject.MERCHANT, f"sandbox/{merchant_id}"), *own]
