"""HTTP of coupons, for residents."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query
from starlette.responses import Response

from chassis.core.paging import InvalidCursor
from chassis.core.schema import Page
from chassis.web.deps import CursorsDep, SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.coupons import queries
from services.points.coupons.errors import CouponNotFound, NotOfHousehold
from services.points.coupons.redemption import Redeem, Redemption
from services.points.coupons.schemas import CouponDetail, CouponFilters, CouponOut, Nothing
from services.points.deps import WriterDep, require_key
from services.points.ledger.errors import InsufficientPoints
from services.points.permissions import MayRedeem, SignedIn
from services.points.rewards.errors import HouseholdLimitReached, OutOfStock, RewardNotFound, RewardNotOffered

redemptions = Router(prefix="/api/points/rewards", tags=["rewards"])
coupons = Router(prefix="/api/points/coupons", tags=["coupons"])

CouponId = Annotated[str, Path(max_length=40, pattern="^[^\\x00]*$")]


@redemptions.post(
    "/{reward_id}/redeem",
    status_code=201,
    response_model=CouponDetail,
    dependencies=[Depends(require_key)],
    responses=problems(
        RewardNotFound, NotOfHousehold, RewardNotOffered, HouseholdLimitReached, OutOfStock, InsufficientPoints
    ),
)
async def redeem_reward(
    reward_id: UUID, actor: MayRedeem, writer: WriterDep, vault: VaultDep, body: Nothing | None = None
) -> Response:
    """兑换: points of one's household for a coupon, in one step. A refusal changes neither points nor stock.

    An `Idempotency-Key` is required: the same key again gives the same coupon, with the code that was answered first.
    """
    wanted = Redemption(vault, actor, reward_id)
    return await writer.answer(Redeem, wanted, lambda coupon: queries.shown_to_household(vault, coupon), status=201)


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
