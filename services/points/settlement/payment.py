"""付款: months that were paid, in the transaction that settles their points."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core.actor import Actor
from chassis.core.ids import new_id
from services.points.ledger.core.book import Book
from services.points.ledger.core.commands import Transfer
from services.points.ledger.needs import Needs, needs_of
from services.points.ledger.terms import TransferCode, merchant_payable, merchants_settled
from services.points.settlement import queries, rules
from services.points.settlement.actions import announcement
from services.points.settlement.errors import StatementNotFound
from services.points.settlement.tables import Payment, Statement
from services.points.settlement.terms import StatementState
from services.points.terms import LedgerName
from services.points.webhooks.announcing import announce
from services.points.webhooks.terms import EventType


@dataclass(frozen=True, slots=True)
class Pay:
    """An administrator says that a month was paid, and with it those before it that were not yet."""

    actor: Actor
    statement_id: UUID
    amount_fen: int
    bank_reference: str | None


@dataclass(frozen=True, slots=True)
class Paid:
    """The payment, and the months that it paid."""

    payment: Payment
    months: list[Statement]


class PayStatements:
    """The deed: for each of these months exactly the points of its uses less its returns go from what the merchant is
    owed to what is settled; the other way where returns were more.

    Refuses with StatementNotFound, OwnMerchant, PaidAlready, NotConfirmed, AmountDiffers, BankReferenceNeeded,
    BankReferenceUsed.
    """

    ledgers = (LedgerName.CIVIC,)

    def __init__(self) -> None:
        self._paid: list[Paid] = []

    async def prepare(self, session: AsyncSession, at: datetime, requests: Sequence[Pay], /) -> Needs:
        """The statements of the merchants that these are of, as far as they are not paid, all locked."""
        self._at = at
        self._months = await queries.lock_months(session, {request.statement_id for request in requests})
        self._statements = {each.id: each for months in self._months.values() for each in months}
        named = {
            (self._statements[request.statement_id].merchant_id, request.bank_reference)
            for request in requests
            if request.statement_id in self._statements and request.bank_reference is not None
        }
        self._references = await queries.references_used(session, named)
        return needs_of([self._order(each) for each in self._statements.values() if each.points])

    def decide(self, book: Book, request: Pay, /) -> Paid:
        """What was paid. Of several who record the same, the first does."""
        statement = self._statements.get(request.statement_id)
        if statement is None:
            raise StatementNotFound
        rules.check_may_settle(request.actor, statement.merchant_id)
        months = rules.covered(statement, self._months[statement.merchant_id])
        used = {reference for merchant_id, reference in self._references if merchant_id == statement.merchant_id}
        rules.check_payment(months, request.amount_fen, request.bank_reference, used)
        posted = {each.id: book.apply(self._order(each)).transfer for each in months if each.points}
        payment = Payment(
            id=new_id(),
            merchant_id=statement.merchant_id,
            amount_fen=request.amount_fen,
            bank_reference=request.bank_reference,
            paid_by=request.actor.id,
            paid_at=self._at,
        )
        for each in months:
            transfer = posted.get(each.id)
            each.state, each.payment, each.transfer_id = StatementState.PAID, payment, transfer and transfer.id
        if request.bank_reference is not None:
            self._references.add((statement.merchant_id, request.bank_reference))
        self._paid.append(Paid(payment, months))
        return self._paid[-1]

    async def write(self, session: AsyncSession, /) -> None:
        """The payments, and that these months are paid."""
        session.add_all([paid.payment for paid in self._paid])
        await session.flush()
        told = [announcement(EventType.STATEMENT_PAID, month, self._at) for paid in self._paid for month in paid.months]
        await announce(session, told)

    def _order(self, statement: Statement) -> Transfer:
        owed, settled = merchant_payable(statement.merchant_id), merchants_settled()
        return Transfer(
            debit=owed if statement.points > 0 else settled,
            credit=settled if statement.points > 0 else owed,
            amount=abs(statement.points),
            code=TransferCode.SETTLEMENT,
            reference=f"settlement/{statement.id}",
            occurred_at=self._at,
        )
