"""商户核销接口: the merchants' operations over HTTP. Signatures, nonces and limits are the door's affair (`door`)."""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from starlette.responses import Response

from chassis.core import clock
from chassis.core.errors import Unavailable
from chassis.core.turnstile import Turnstile
from chassis.web.auth import runtime_of
from chassis.web.deps import SessionDep, VaultDep
from chassis.web.router import Router
from services.points.deps import AtTheWriter, WriterDep
from services.points.merchants import actions, bills, envelope, numbers, operations, sandbox
from services.points.merchants.door import CALLER
from services.points.merchants.errors import NumberInProgress, SignError
from services.points.merchants.faults import MerchantRoute
from services.points.merchants.fields import CouponId, NumberedOperation, OutRequestNo
from services.points.merchants.numbered import NumberedRequest
from services.points.merchants.schemas import (
    BillFilters,
    CouponOut,
    EchoOut,
    LockIn,
    LockOut,
    PlatformKeyOut,
    PlatformKeysOut,
    PrepareIn,
    PrepareOut,
    RequestOut,
    ReturnIn,
    ReturnOut,
    SandboxCouponIn,
    SandboxCouponOut,
    UnlockIn,
    UnlockOut,
    UseIn,
    UseOut,
    in_beijing,
)
from services.points.merchants.terms import BILL_SHA256, Caller

router = Router(prefix=envelope.PATH, tags=["merchants"])
router.route_class = MerchantRoute
BILL = "application/gzip"
OPEN_PATHS = frozenset({f"{envelope.PATH}/platform-keys"})


async def _caller(request: Request) -> Caller:
    """The merchant that signed the request, as the door found. Raises SignError where none did."""
    caller: Caller | None = request.scope.get(CALLER)
    if caller is None:
        raise SignError
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]


def _turns(request: Request) -> Turnstile:
    """Those who come under one number queue up."""
    turns: Turnstile = request.app.state.merchant_numbers
    return turns


async def _carried_out(request: Request, writer: AtTheWriter, asked: NumberedRequest[Any, Any]) -> Response:
    """The answer under a number, first or again. Raises NumberInProgress after five seconds of waiting for its turn.

    Whoever waits holds no connection.
    """
    async with AsyncExitStack() as turn:
        try:
            await turn.enter_async_context(_turns(request).turn(asked.number))
        except Unavailable:
            raise NumberInProgress from None
        answer = await writer.submit(operations.deed_for(asked.number), asked)
    return Response(answer.body, answer.status, media_type="application/json")


@router.get("/platform-keys")
async def platform_keys(request: Request) -> PlatformKeysOut:
    """平台公钥: the keys by which our replies are checked, the current one and the next. Open to all."""
    return PlatformKeysOut(keys=[PlatformKeyOut.of(key) for key in request.app.state.platform_keys.both()])


@router.post("/echo", openapi_extra={"requestBody": {"content": {"application/json": {"schema": {}}}}})
async def echo(request: Request, caller: CallerDep) -> EchoOut:
    """验签自检: proves a signature and does nothing. Any body will do, or none."""
    return EchoOut(
        mchid=caller.mchid,
        serial_no=caller.serial_no,
        algorithm=caller.algorithm,
        sandbox=caller.sandbox,
        received_at=in_beijing(clock.now()),
        body=(await request.body()).decode("utf-8", "replace"),
    )


@router.post("/coupons/prepare")
async def prepare_coupon(body: PrepareIn, caller: CallerDep, session: SessionDep, vault: VaultDep) -> PrepareOut:
    """核销准备: what this code is and whether it can be used, with a `prepare_token` in its place for 120 s."""
    return await actions.prepare_coupon(session, vault, caller, body)


@router.post("/coupons/use", response_model=UseOut)
async def use_coupon(
    request: Request, wanted: UseIn, caller: CallerDep, writer: WriterDep, vault: VaultDep
) -> Response:
    """核销: redeem a coupon, once under each `out_request_no`.

    The same number with the same parameters gets the first answer again, byte for byte, be it a yes or a no; with other
    parameters 409 OUT_REQUEST_NO_CONFLICT. Whoever gets no answer, 429 or 5xx repeats it with the same number.
    """
    return await _carried_out(request, writer, operations.use_asked(vault, caller, wanted))


@router.post("/coupons/lock", response_model=LockOut)
async def lock_coupon(
    request: Request, wanted: LockIn, caller: CallerDep, writer: WriterDep, vault: VaultDep
) -> Response:
    """锁券: keep a coupon for this store for fifteen minutes, or as long as it is good if that is less; then the lock
    lapses by itself. The `prepare_token` stands for its code until then. A lock is not lengthened.
    """
    return await _carried_out(request, writer, operations.lock_asked(vault, caller, wanted))


@router.post("/coupons/unlock", response_model=UnlockOut)
async def unlock_coupon(request: Request, wanted: UnlockIn, caller: CallerDep, writer: WriterDep) -> Response:
    """解锁: let go of a coupon that this store has locked. One that nobody has locked any more is answered as it is."""
    return await _carried_out(request, writer, operations.unlock_asked(caller, wanted))


@router.post("/coupons/return", response_model=ReturnOut)
async def return_used_coupon(request: Request, wanted: ReturnIn, caller: CallerDep, writer: WriterDep) -> Response:
    """撤销核销: undo a use within sixty minutes of its booking, never once it is settled; later ask the subdistrict.

    409 COUPON_NOT_USED where this use does not stand (any more): another one is not undone in its place.
    """
    return await _carried_out(request, writer, operations.return_asked(caller, wanted))


@router.post("/sandbox/coupons")
async def issue_sandbox_coupon(
    caller: CallerDep, session: SessionDep, vault: VaultDep, body: SandboxCouponIn | None = None
) -> SandboxCouponOut:
    """沙箱发券: under a sandbox key, a coupon to try with, and the code that it shows now. No live key sees it."""
    return await sandbox.issue(session, vault, caller, body or SandboxCouponIn())


@router.get("/sandbox/coupons/{coupon_id}")
async def show_sandbox_coupon(
    coupon_id: CouponId, caller: CallerDep, session: SessionDep, vault: VaultDep
) -> SandboxCouponOut:
    """沙箱券码: what the telephone would show now; a fresh code every thirty seconds."""
    return await sandbox.show(session, vault, caller, coupon_id)


@router.get("/coupons/{coupon_id}")
async def query_coupon(coupon_id: CouponId, caller: CallerDep, session: SessionDep) -> CouponOut:
    """查询券: a coupon's state, by its id of 14 digits."""
    return await actions.show_coupon(session, caller, coupon_id)


@router.get(
    "/bills/daily",
    response_class=Response,
    responses={200: {"content": {BILL: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def daily_bill(asked: Annotated[BillFilters, Query()], caller: CallerDep, session: SessionDep) -> Response:
    """日账单: what was posted on a day, from 10:00 of the next one on (Beijing): CSV, gzip; made again, the same bytes.

    `bill_date` is the day of our posting, never that of `use_time`. The file is signed as it is sent, compressed;
    `HHBY-Bill-SHA256` is of the CSV within. A day without uses has a bill too, be it before the merchant was on record.
    Under a sandbox key it is of what was tried that day, with 1 point a yuan, and today's so far is there at once.
    """
    bill = await bills.daily_bill(session, caller, asked.bill_date, clock.now())
    await session.commit()  # no transaction stays open while a thread is waited for
    name = f"bill-{caller.mchid}-{asked.bill_date}.csv.gz"
    headers = {BILL_SHA256: bill.sha256, "Content-Disposition": f'attachment; filename="{name}"'}
    content = await asyncio.to_thread(bill.gzipped)
    return Response(content, headers=headers, media_type=BILL)


@router.get("/requests/{operation}/{out_request_no}")
async def query_request(
    request: Request, operation: NumberedOperation, out_request_no: OutRequestNo, caller: CallerDep, writer: WriterDep
) -> RequestOut:
    """查询请求结果: what became of a request whose answer was lost. One that is under way is waited for.

    REQUEST_NOT_FOUND says that nothing was done under the number so far: to be certain, repeat the request itself.
    """
    number = operations.number_of(caller, operation, out_request_no)
    return await numbers.look_up(runtime_of(request).db, _turns(request), writer, number)
