"""核销: coupons redeemed under merchants' own numbers, as many as come together: once, whatever is repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.errors import DomainError
from services.points.coupons.errors import CouponCodeStale
from services.points.coupons.tables import Coupon
from services.points.coupons.use import Use, UseCoupons
from services.points.ledger.core.book import Book
from services.points.ledger.needs import Needs
from services.points.merchants import envelope, queries, rules
from services.points.merchants.errors import OutRequestNoConflict
from services.points.merchants.schemas import UseIn, UseOut
from services.points.merchants.tables import MerchantRequest
from services.points.merchants.terms import Answer, Caller, NumberKey


@dataclass(frozen=True, slots=True, eq=False)
class NumberedUse:
    """A till wants to redeem a coupon. `parameters` is the hash of what its number is bound to.

    `token_expires_at`: where a token stands for the coupon's code, until when it does.
    """

    caller: Caller
    wanted: UseIn
    number: NumberKey
    parameters: bytes
    token_expires_at: datetime | None
    use: Use


class NumberedUses:
    """The deed: each number is looked up before its code is judged, and the answer is kept with what it tells of.

    A refusal for a business reason is an answer like any other. Refuses with OutRequestNoConflict, and with
    TooManyWrongCodes, which leaves the number free.
    """

    ledgers = UseCoupons.ledgers

    def __init__(self) -> None:
        self._coupons = UseCoupons()
        self._answered: list[MerchantRequest] = []

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[NumberedUse], /) -> Needs:
        """The first answers under these numbers; for the others whose stores they name, and what of the coupons."""
        self._at = at
        self._requests = await queries.requests_under(session, {asked.number for asked in requests})
        fresh = [asked for asked in requests if asked.number not in self._requests]
        if not fresh:
            return Needs()
        stores = {(asked.caller.merchant_id, asked.wanted.store_id) for asked in fresh}
        self._stores = await queries.stores_among(session, stores)
        return await self._coupons.prepare(session, at, [asked.use for asked in fresh if self._refusal(asked) is None])

    def decide(self, book: Book, asked: NumberedUse, /) -> Answer:
        """The answer, first or again."""
        earlier = self._requests.get(asked.number)
        if earlier is None:
            earlier = self._answer(asked, self._decided(book, asked))
        elif earlier.parameters_hash != asked.parameters:
            raise OutRequestNoConflict
        return earlier.kept()

    async def write(self, session: AsyncSession, /) -> None:
        """What was decided of the coupons, and the answers."""
        await self._coupons.write(session)
        await queries.keep_answers(session, self._answered)

    def _decided(self, book: Book, asked: NumberedUse) -> Answer:
        """What is answered now, and from now on. What would not repeat is raised instead."""
        try:
            coupon = self._spend(book, asked)
        except DomainError as error:
            if not error.repeats:
                raise
            return envelope.of_error(error)
        return Answer(200, UseOut.of(coupon, asked.caller, asked.wanted).model_dump_json().encode())

    def _spend(self, book: Book, asked: NumberedUse) -> Coupon:
        refusal = self._refusal(asked)
        if refusal is not None:
            raise refusal
        return self._coupons.decide(book, asked.use)

    def _refusal(self, asked: NumberedUse) -> DomainError | None:
        """What is refused without a look at the coupon."""
        at_store = (asked.caller.merchant_id, asked.wanted.store_id) in self._stores
        refusal = rules.reason_against(asked.caller, at_own_store=at_store)
        if refusal is None and asked.token_expires_at is not None and asked.token_expires_at <= self._at:
            return CouponCodeStale()
        return refusal

    def _answer(self, asked: NumberedUse, answer: Answer) -> MerchantRequest:
        """Answer under a number, for all who come with it later, in this batch or another."""
        number = asked.number
        request = MerchantRequest(
            merchant_id=number.merchant_id,
            sandbox=number.sandbox,
            operation=number.operation,
            out_request_no=number.out_request_no,
            parameters_hash=asked.parameters,
            coupon_id=asked.use.coupon_id,
            status=answer.status,
            answer=answer.body,
            answered_at=self._at,
        )
        self._requests[number] = request
        self._answered.append(request)
        return request
