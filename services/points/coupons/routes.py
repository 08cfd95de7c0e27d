"""HTTP of coupons, for residents and for staff."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query
from starlette.responses import Response

from chassis.core import clock
from chassis.core.paging import InvalidCursor
from chassis.core.schema import Page
from chassis.web.deps import CursorsDep, SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.coupons import queries
from services.points.coupons.endings import DeactivateCoupons, Ending, RefundCoupons
from services.points.coupons.errors import (
    CouponExpired,
    CouponLocked,
    CouponNotFound,
    CouponNotUsed,
    CouponUsed,
    GuardianNeeded,
    HouseholdNotKnownYet,
    MemberUnknown,
    NotOfHousehold,
    UseSettled,
)
from services.points.coupons.qr import qr_of
from services.points.coupons.redemption import Redeem, Redemption
from services.points.coupons.returns import Return, ReturnCoupons
from services.points.coupons.schemas import (
    CouponCodeOut,
    CouponDetail,
    CouponFilters,
    CouponHistory,
    CouponOut,
    ReasonIn,
    RedemptionIn,
    ReturnIn,
    StandingOut,
)
from services.points.deps import WriterDep, require_key
from services.points.ledger.errors import InsufficientPoints
from services.points.permissions import MayAdminister, MayReadLedger, MayRedeem, SignedIn
from services.points.postings.errors import OwnPoints
from services.points.rewards.errors import (
    HouseholdLimitReached,
    NotEligible,
    OutOfStock,
    RewardNotFound,
    RewardNotOffered,
)

redemptions = Router(prefix="/api/points/rewards", tags=["rewards"])
coupons = Router(prefix="/api/points/coupons", tags=["coupons"])

NO_CODE = (CouponNotFound, HouseholdNotKnownYet, GuardianNeeded, CouponUsed, CouponExpired)
NOT_OPEN = (CouponNotFound, OwnPoints, CouponUsed, CouponLocked, CouponExpired)

CouponId = Annotated[str, Path(max_length=40, pattern="^[^\\x00]*$")]


@redemptions.post(
    "/{reward_id}/redeem",
    status_code=201,
    response_model=CouponDetail,
    dependencies=[Depends(require_key)],
    responses=problems(
        RewardNotFound,
        NotOfHousehold,
        HouseholdNotKnownYet,
        GuardianNeeded,
        MemberUnknown,
        RewardNotOffered,
        NotEligible,
        HouseholdLimitReached,
        OutOfStock,
        InsufficientPoints,
    ),
)
async def redeem_reward(
    reward_id: UUID, actor: MayRedeem, writer: WriterDep, vault: VaultDep, body: RedemptionIn | None = None
) -> Response:
    """兑换: points of one's household for a coupon, in one step. A refusal changes neither points nor stock.

    An `Idempotency-Key` is required: the same key again gives the same coupon, with the code that was answered first.
    """
    wanted = Redemption(vault, actor, reward_id, body.for_member_id if body else None)
    return await writer.answer(Redeem, wanted, lambda coupon: CouponDetail.issued(coupon, clock.now()), status=201)


@coupons.get("", responses=problems(InvalidCursor))
async def list_coupons(
    filters: Annotated[CouponFilters, Query()], actor: SignedIn, session: SessionDep, cursors: CursorsDep
) -> Page[CouponOut]:
    """我的券: the coupons of one's household, the latest first, without their codes."""
    return await queries.list_coupons(session, cursors, actor, filters)


@coupons.get("/{coupon_id}", responses=problems(CouponNotFound))
async def show_own_coupon(coupon_id: CouponId, actor: SignedIn, session: SessionDep, vault: VaultDep) -> CouponDetail:
    """One coupon with the code to show at a till, for the members of its household."""
    return await queries.coupon_detail(session, vault, actor, coupon_id)


@coupons.get("/{coupon_id}/code", responses=problems(*NO_CODE))
async def show_code(coupon_id: CouponId, actor: SignedIn, session: SessionDep, vault: VaultDep) -> CouponCodeOut:
    """出示券码: the code to show or to read out, for the members of its household. Ask again once it has changed."""
    return await queries.coupon_code(session, vault, actor, coupon_id)


@coupons.get(
    "/{coupon_id}/code.svg",
    response_class=Response,
    responses=problems(*NO_CODE) | {200: {"content": {"image/svg+xml": {}}, "description": "A QR code."}},
)
async def show_qr(coupon_id: CouponId, actor: SignedIn, session: SessionDep, vault: VaultDep) -> Response:
    """券码二维码: the same twenty digits as a QR code, which fills whatever it is put in."""
    code = await queries.coupon_code(session, vault, actor, coupon_id)
    headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    return Response(qr_of(code.code), media_type="image/svg+xml", headers=headers)


@coupons.get("/{coupon_id}/history", responses=problems(CouponNotFound))
async def show_history(coupon_id: CouponId, actor: MayReadLedger, session: SessionDep) -> CouponHistory:
    """券的流水: any coupon with all that happened to it, for administrators and auditors. Never its code."""
    return await queries.coupon_history(session, coupon_id)


@coupons.post(
    "/{coupon_id}/return",
    response_model=StandingOut,
    responses=problems(CouponNotFound, OwnPoints, CouponNotUsed, UseSettled),
)
async def undo_use(coupon_id: CouponId, body: ReturnIn, actor: MayAdminister, writer: WriterDep) -> Response:
    """撤销核销: undo a use that its merchant cannot undo any more, as long as it is not settled.

    The coupon is good again; after its time it expires at once, and its points go back where that was promised.
    """
    wanted = Return(coupon_id=coupon_id, use_no=body.use_no, merchant_id=None, operator_id=actor.id, reason=body.reason)
    return await writer.answer(ReturnCoupons, wanted, StandingOut.of)


@coupons.post("/{coupon_id}/refund", response_model=StandingOut, responses=problems(*NOT_OPEN))
async def refund_coupon(coupon_id: CouponId, body: ReasonIn, actor: MayAdminister, writer: WriterDep) -> Response:
    """退券: the household gets the points of a coupon that nobody has used back, with the expiry that they had."""
    wanted = Ending(coupon_id=coupon_id, operator_id=actor.id, reason=body.reason)
    return await writer.answer(RefundCoupons, wanted, StandingOut.of)


@coupons.post("/{coupon_id}/deactivate", response_model=StandingOut, responses=problems(*NOT_OPEN))
async def deactivate_coupon(coupon_id: CouponId, body: ReasonIn, actor: MayAdminister, writer: WriterDep) -> Response:
    """作废: a coupon that nobody has used is taken out of use, for good. Its points do not come back."""
    wanted = Ending(coupon_id=coupon_id, operator_id=actor.id, reason=body.reason)
    return await writer.answer(DeactivateCoupons, wanted, StandingOut.of)
