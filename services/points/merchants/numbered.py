"""What merchants do to coupons under numbers of their own, as many as come together: once, whatever is repeated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.errors import DomainError
from chassis.core.schema import Out
from services.points.coupons.errors import CouponCodeStale
from services.points.ledger.actions import Deed
from services.points.ledger.core.book import Book
from services.points.ledger.needs import Needs
from services.points.merchants import envelope, queries, rules
from services.points.merchants.errors import OutRequestNoConflict
from services.points.merchants.tables import MerchantRequest
from services.points.merchants.terms import Answer, Caller, NumberKey
from services.points.terms import LedgerName

Asked = TypeVar("Asked")
Changed = TypeVar("Changed")


@dataclass(frozen=True, slots=True, eq=False)
class NumberedRequest(Generic[Asked, Changed]):
    """A merchant asks at one of its stores for something to happen to a coupon: `asked`, in the words of its deed.

    `parameters` is the hash of what the number is bound to. `token_expires_at`: where a token stands for the coupon's
    code, until when it does. `render` makes the answer of what the deed gives back.
    """

    caller: Caller
    number: NumberKey
    parameters: bytes
    store_id: str
    coupon_id: str
    token_expires_at: datetime | None
    asked: Asked
    render: Callable[[Changed], Out]


class NumberedRequests(Generic[Asked, Changed]):
    """The deed around a deed that changes coupons: each number is looked up before the code is judged, and the answer
    is kept with what it tells of.

    A refusal for a business reason is an answer like any other. Refuses with OutRequestNoConflict, and with what would
    not repeat (TooManyWrongCodes, say), which leaves the number free.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self, deed: Callable[[], Deed[Asked, Changed]]) -> None:
        self._deed = deed()
        self._answered: list[MerchantRequest] = []
        self._begun = False

    async def prepare(
        self, session: AsyncSession, at: datetime, requests: Sequence[NumberedRequest[Asked, Changed]], /
    ) -> Needs:
        """The first answers under these numbers; for the others whose stores they name, and what of the coupons."""
        self._at = at
        self._requests = await queries.requests_under(session, {asked.number for asked in requests})
        fresh = [asked for asked in requests if asked.number not in self._requests]
        if not fresh:
            return Needs()
        stores = {(asked.caller.merchant_id, asked.store_id) for asked in fresh}
        self._stores = await queries.stores_among(session, stores)
        allowed = [asked.asked for asked in fresh if self._refusal(asked) is None]
        if not allowed:
            return Needs()
        self._begun = True
        return await self._deed.prepare(session, at, allowed)

    def decide(self, book: Book, asked: NumberedRequest[Asked, Changed], /) -> Answer:
        """The answer, first or again."""
        earlier = self._requests.get(asked.number)
        if earlier is None:
            earlier = self._answer(asked, self._decided(book, asked))
        elif earlier.parameters_hash != asked.parameters:
            raise OutRequestNoConflict
        return earlier.kept()

    async def write(self, session: AsyncSession, /) -> None:
        """What was decided of the coupons, and the answers."""
        if self._begun:
            await self._deed.write(session)
        await queries.keep_answers(session, self._answered)

    def _decided(self, book: Book, asked: NumberedRequest[Asked, Changed]) -> Answer:
        """What is answered now, and from now on. What would not repeat is raised instead."""
        try:
            changed = self._changed(book, asked)
        except DomainError as error:
            if not error.repeats:
                raise
            return envelope.of_error(error)
        return Answer(200, asked.render(changed).model_dump_json().encode())

    def _changed(self, book: Book, asked: NumberedRequest[Asked, Changed]) -> Changed:
        refusal = self._refusal(asked)
        if refusal is not None:
            raise refusal
        with book.together():  # a refusal becomes an answer here: nobody else would undo what it has done so far
            return self._deed.decide(book, asked.asked)

    def _refusal(self, asked: NumberedRequest[Asked, Changed]) -> DomainError | None:
        """What is refused without a look at the coupon."""
        at_store = (asked.caller.merchant_id, asked.store_id) in self._stores
        refusal = rules.reason_against(asked.caller, at_own_store=at_store)
        if refusal is None and asked.token_expires_at is not None and asked.token_expires_at <= self._at:
            return CouponCodeStale()
        return refusal

    def _answer(self, asked: NumberedRequest[Asked, Changed], answer: Answer) -> MerchantRequest:
        """Answer under a number, for all who come with it later, in this batch or another."""
        number = asked.number
        request = MerchantRequest(
            merchant_id=number.merchant_id,
            sandbox=number.sandbox,
            operation=number.operation,
            out_request_no=number.out_request_no,
            parameters_hash=asked.parameters,
            coupon_id=asked.coupon_id,
            status=answer.status,
            answer=answer.body,
            answered_at=self._at,
        )
        self._requests[number] = request
        self._answered.append(request)
        return request
