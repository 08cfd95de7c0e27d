"""What is written of coupons when they are issued: rows in sets, since thousands may be issued at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.db import driver_connection, driver_errors
from services.points.coupons.terms import CouponEventKind, CouponState
from services.points.ledger.rows import Row, insert_rows
from services.points.rewards.tables import Reward

_COUPON = (
    "id reward_id household_id person_id for_member_id cost face_fen payable_fen refund_on_expiry secret_sealed state"
    " issued_at expires_at happened issue_transfer_id"
)
_COUPON_TYPES = "text uuid uuid uuid uuid int8 int8 int8 bool bytea varchar timestamptz timestamptz int8 uuid"
_EVENT = "coupon_id number kind at transfer_id"
_EVENT_TYPES = "text int8 varchar timestamptz uuid"
_FIRST = 1
"""The number of a coupon's first event: that it was issued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCoupon:
    """A coupon that is issued just now, for what its reward costs and is worth now: `tables.Coupon` as it is written.

    `secret` is what its codes come from.
    """

    id: str
    reward: Reward
    household_id: UUID
    person_id: UUID
    for_member_id: UUID | None
    secret: bytes
    secret_sealed: bytes
    issued_at: datetime
    expires_at: datetime
    issue_transfer_id: UUID


async def write_issued(session: AsyncSession, coupons: Sequence[IssuedCoupon]) -> None:
    """Write them, and that they were issued. Their transfers are written already."""
    driver = await driver_connection(session)
    with driver_errors(driver):
        await insert_rows(
            driver,
            ("coupon", _COUPON, _COUPON_TYPES, list(map(_coupon_row, coupons))),
            ("coupon_event", _EVENT, _EVENT_TYPES, list(map(_event_row, coupons))),
        )


def _coupon_row(coupon: IssuedCoupon) -> Row:
    reward = coupon.reward
    return (
        coupon.id,
        reward.id,
        coupon.household_id,
        coupon.person_id,
        coupon.for_member_id,
        reward.cost,
        reward.face_fen,
        reward.payable_fen,
        reward.refund_on_expiry,
        coupon.secret_sealed,
        CouponState.EFFECTIVE,
        coupon.issued_at,
        coupon.expires_at,
        _FIRST,
        coupon.issue_transfer_id,
    )


def _event_row(coupon: IssuedCoupon) -> Row:
    return coupon.id, _FIRST, CouponEventKind.ISSUED, coupon.issued_at, coupon.issue_transfer_id
