"""柜台: a shop's counter without a till over HTTP: look, redeem, undo, and what today came to."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query
from starlette.responses import Response

from chassis.core.paging import InvalidCursor
from chassis.web.deps import CursorsDep, SessionDep, VaultDep
from chassis.web.problems import problems
from chassis.web.router import Router
from services.points.counter import looking, queries
from services.points.counter.errors import (
    CounterTokenInvalid,
    MerchantSuspended,
    NotAtThisCounter,
    OwnCoupon,
)
from services.points.counter.redeeming import CounterReturn, CounterReturns, CounterUses
from services.points.counter.schemas import (
    LookIn,
    LookOut,
    ReturnedOut,
    ReturnIn,
    TodayOut,
    TodayPaging,
    UsedOut,
    UseIn,
)
from services.points.counter.terms import Place
from services.points.counter.today import today_at
from services.points.coupons.errors import (
    CodeOrToken,
    CouponCodeStale,
    CouponExpired,
    CouponLocked,
    CouponNotFound,
    CouponNotUsed,
    CouponUsed,
    ReturnTooLate,
    TooManyWrongCodes,
    UseSettled,
)
from services.points.deps import WriterDep, require_key
from services.points.permissions import SignedIn

router = Router(prefix="/api/points/counter/{merchant_id}/{store_id}", tags=["counter"])


async def _place(
    merchant_id: UUID, store_id: Annotated[str, Path(max_length=40, pattern="^[^\\x00]*$")], actor: SignedIn
) -> Place:
    return queries.place_of(actor, merchant_id, store_id)


PlaceDep = Annotated[Place, Depends(_place)]
"""Where somebody says that they stand: whether they do is decided with what they ask for."""


@router.post(
    "/look",
    responses=problems(NotAtThisCounter, MerchantSuspended, CouponNotFound, CouponCodeStale, TooManyWrongCodes),
)
async def look_at_coupon(body: LookIn, place: PlaceDep, session: SessionDep, vault: VaultDep) -> LookOut:
    """看券: what this code is and whether it can be used, with a token in its place for five minutes."""
    return await looking.look(session, vault, place, body.coupon_code)


@router.post(
    "/use",
    response_model=UsedOut,
    dependencies=[Depends(require_key)],
    responses=problems(
        NotAtThisCounter,
        MerchantSuspended,
        OwnCoupon,
        CodeOrToken,
        CounterTokenInvalid,
        CouponNotFound,
        CouponCodeStale,
        CouponUsed,
        CouponLocked,
        CouponExpired,
        TooManyWrongCodes,
    ),
)
async def redeem_coupon(body: UseIn, place: PlaceDep, writer: WriterDep, vault: VaultDep) -> Response:
    """核销: redeem a coupon at the counter.

    An `Idempotency-Key` is required: the same key again gives the first answer again, and redeems nothing more.
    """
    return await writer.answer(CounterUses, looking.use_asked(vault, place, body), UsedOut.of)


@router.post(
    "/return",
    response_model=ReturnedOut,
    dependencies=[Depends(require_key)],
    responses=problems(
        NotAtThisCounter, MerchantSuspended, OwnCoupon, CouponNotFound, CouponNotUsed, ReturnTooLate, UseSettled
    ),
)
async def undo_counter_use(body: ReturnIn, place: PlaceDep, writer: WriterDep) -> Response:
    """撤销核销: undo a use that was made at this store, within an hour. An `Idempotency-Key` is required."""
    asked = CounterReturn(place, body.coupon_id, body.use_no)
    return await writer.answer(CounterReturns, asked, ReturnedOut.of)


@router.get("/today", responses=problems(NotAtThisCounter, InvalidCursor))
async def show_today(
    paging: Annotated[TodayPaging, Query()],
    place: PlaceDep,
    session: SessionDep,
    vault: VaultDep,
    cursors: CursorsDep,
) -> TodayOut:
    """今日清单: what was redeemed at this store today, the latest first, and what it came to."""
    counter = await queries.counter_at(session, place)
    return await today_at(session, vault, cursors, counter, paging)
