"""商户核销接口: the merchants' operations over HTTP. Signatures, nonces and limits are the door's affair (`door`)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from chassis.core import clock
from chassis.core.errors import Unavailable
from chassis.web.auth import runtime_of
from chassis.web.deps import SessionDep, VaultDep, take_turn
from chassis.web.router import Router
from services.points.deps import WriterDep
from services.points.merchants import actions, envelope, numbers
from services.points.merchants.door import CALLER
from services.points.merchants.errors import NumberInProgress, SignError
from services.points.merchants.schemas import (
    CouponId,
    CouponOut,
    EchoOut,
    OutRequestNo,
    PlatformKeyOut,
    PlatformKeysOut,
    PrepareIn,
    PrepareOut,
    RequestOut,
    UseIn,
    UseOut,
    in_beijing,
)
from services.points.merchants.terms import Caller, NumberKey, Operation
from services.points.merchants.use import NumberedUses

router = Router(prefix=envelope.PATH, tags=["merchants"])
OPEN_PATHS = frozenset({f"{envelope.PATH}/platform-keys"})


async def _caller(request: Request) -> Caller:
    """The merchant that signed the request, as the door found. Raises SignError where none did."""
    caller: Caller | None = request.scope.get(CALLER)
    if caller is None:
        raise SignError
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]


@asynccontextmanager
async def _turn_of(request: Request, number: NumberKey) -> AsyncIterator[None]:
    """One's turn among those that come under one number; raises NumberInProgress after five seconds of waiting."""
    async with AsyncExitStack() as turn:
        try:
            await turn.enter_async_context(take_turn(request, request.app.state.merchant_numbers, number))
        except Unavailable:
            raise NumberInProgress from None
        yield


async def _use_in_turn(request: Request, body: UseIn, caller: CallerDep) -> AsyncIterator[UseIn]:
    async with _turn_of(request, actions.number_of(caller, Operation.USE, body.out_request_no)):
        yield body


async def _number_in_turn(
    request: Request, operation: Operation, out_request_no: OutRequestNo, caller: CallerDep
) -> AsyncIterator[NumberKey]:
    number = actions.number_of(caller, operation, out_request_no)
    async with _turn_of(request, number):
        yield number


UseInTurn = Annotated[UseIn, Depends(_use_in_turn, scope="function")]
NumberInTurn = Annotated[NumberKey, Depends(_number_in_turn, scope="function")]
"""What was asked for, once nothing else is under way in this process under the same number. Declared before the
session: whoever waits holds no connection.
"""


@router.get("/platform-keys")
async def platform_keys(request: Request) -> PlatformKeysOut:
    """平台公钥: the keys by which our replies are checked, the current one and the next. Open to all."""
    return PlatformKeysOut(keys=[PlatformKeyOut.of(key) for key in request.app.state.platform_keys])


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
async def use_coupon(wanted: UseInTurn, caller: CallerDep, writer: WriterDep, vault: VaultDep) -> Response:
    """核销: redeem a coupon, once under each `out_request_no`.

    The same number with the same parameters gets the first answer again, byte for byte, be it a yes or a no; with other
    parameters 409 OUT_REQUEST_NO_CONFLICT. Whoever gets no answer, 429 or 5xx repeats it with the same number.
    """
    answer = await writer.submit(NumberedUses, actions.use_asked(vault, caller, wanted))
    return Response(answer.body, answer.status, media_type="application/json")


@router.get("/coupons/{coupon_id}")
async def query_coupon(coupon_id: CouponId, caller: CallerDep, session: SessionDep) -> CouponOut:
    """查询券: a coupon's state, by its id of 14 digits."""
    return await actions.show_coupon(session, caller, coupon_id)


@router.get("/requests/{operation}/{out_request_no}")
async def query_request(request: Request, number: NumberInTurn, writer: WriterDep) -> RequestOut:
    """查询请求结果: what became of a request whose answer was lost. One that is under way is waited for.

    REQUEST_NOT_FOUND says that nothing was done under the number so far: to be certain, repeat the request itself.
    """
    return await numbers.look_up(runtime_of(request).db, writer, number)
