"""Changes to coupons."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock
from chassis.core.crypto import Vault
from services.points.coupons import queries, rules
from services.points.coupons.tables import Coupon
from services.points.coupons.terms import WrongCodeSubject


async def judge_code(
    session: AsyncSession, vault: Vault, code: str, merchant_id: UUID, at: datetime, store_id: str | None = None
) -> Coupon:
    """The coupon whose code is shown to a merchant (in this store) at `at`, whatever its state. The coupon itself is
    not locked.

    Raises CouponCodeMalformed; TooManyWrongCodes, whatever the code is worth; CouponCodeWrong (a CouponNotFound) where
    the code never was right or the merchant does not honour the coupon, which is counted (by the coupon only where it
    does): the caller must commit the transaction; CouponCodeStale where it was right within the last ten minutes. Until
    the transaction ends no other code of this merchant or this coupon is judged, so the limits cannot be raced.
    """
    coupon_id, otp = rules.read_code(code)
    coupon = await queries.find_coupon_for_merchant(session, coupon_id, merchant_id, store_id)
    subjects = [(WrongCodeSubject.MERCHANT, str(merchant_id))]
    if coupon is not None:
        subjects.append((WrongCodeSubject.COUPON, coupon_id))
    counts = await queries.lock_wrong_codes(session, subjects, clock.hour_of(at))
    rules.check_code(counts.values(), queries.open_secret(vault, coupon) if coupon else None, otp, at)
    assert coupon is not None, "a code is right for a coupon alone"
    return coupon


async def hand_over_coupons(session: AsyncSession, household_id: UUID, into: UUID) -> None:
    """The coupons of a household that was dissolved belong to the one it joined, used ones too.

    The caller holds the civic ledger's lock.
    """
    await session.execute(
        update(Coupon)
        .where(Coupon.household_id == household_id)
        .values(household_id=into)
        .execution_options(synchronize_session=False)
    )


async def forget_member(session: AsyncSession, person_id: UUID) -> None:
    """Somebody's data were erased: whom it was for is told by no coupon any more. It is the household's as before."""
    coupon_ids = await queries.lock_coupons_for(session, person_id)
    statement = update(Coupon).where(Coupon.id.in_(coupon_ids)).values(for_member_id=None)
    await session.execute(statement.execution_options(synchronize_session=False))


async def sweep(session: AsyncSession, at: datetime) -> None:
    """Forget the counts of wrong codes that no decision after `at` can need."""
    await queries.delete_wrong_codes(session, of_hours_until=at - rules.HOUR)
