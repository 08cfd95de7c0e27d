"""The lines of a statement: what each transfer did to one account, and what it was for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.points.awards.queries import subject_labels
from services.points.coupons.queries import coupons_of_transfers
from services.points.coupons.terms import CouponRef
from services.points.ledger.tables import Transfer
from services.points.ledger.terms import TransferCode
from services.points.statements import queries
from services.points.statements.terms import Line, Subject


@dataclass(frozen=True, slots=True)
class _Earned:
    """What an award was for."""

    subject: Subject
    fact_id: UUID
    withheld: int


async def lines(session: AsyncSession, account_id: UUID, transfers: Sequence[Transfer]) -> list[Line]:
    """Transfers as an account's owner sees them: what is reversed or expires is for what it was given for."""
    lots = await _lots(session, transfers)
    origins = {transfer.id: lots.get(transfer.id) or transfer.reverses_id or transfer.id for transfer in transfers}
    earned = await _earned(session, set(origins.values()))
    coupons = await coupons_of_transfers(session, set(origins.values()))
    texts = await queries.words_of(session, [transfer.id for transfer in transfers if transfer.text_hash is not None])
    return [
        _line(account_id, transfer, earned.get(origins[transfer.id]), coupons.get(origins[transfer.id]), lots, texts)
        for transfer in transfers
    ]


def _line(
    account_id: UUID,
    transfer: Transfer,
    earned: _Earned | None,
    coupon: CouponRef | None,
    lots: dict[UUID, UUID],
    texts: dict[UUID, str],
) -> Line:
    out = transfer.debit_account_id == account_id
    other = transfer.credit_account_id if out else transfer.debit_account_id
    return Line(
        account_id=account_id,
        transfer=transfer,
        amount=-transfer.amount if out else transfer.amount,
        balance=transfer.debit_balance if out else transfer.credit_balance,
        version=transfer.debit_version if out else transfer.credit_version,
        subject=earned.subject if earned else None,
        fact_id=earned.fact_id if earned else None,
        coupon=coupon,
        withheld=earned.withheld if earned else 0,
        lot=lots.get(transfer.id),
        merged=other if transfer.code is TransferCode.MERGER else None,
        reason=texts.get(transfer.id),
    )


async def _lots(session: AsyncSession, transfers: Sequence[Transfer]) -> dict[UUID, UUID]:
    """Of expiries, and of what takes them back, the lot that they are about: that is the transfer which made it."""
    back = [transfer.reverses_id for transfer in transfers if transfer.reverses_id]
    expired = await queries.expiries_among(session, back)
    return await queries.lots_of(
        session, {one.id for one in transfers if one.code is TransferCode.EXPIRY or one.reverses_id in expired}
    )


async def _earned(session: AsyncSession, transfer_ids: Collection[UUID]) -> dict[UUID, _Earned]:
    rows = await queries.awards_by(session, transfer_ids)
    labels = await subject_labels(session, {award.subject_id for award, fact in rows if not fact.subject_label})
    return {
        award.transfer_id: _Earned(
            Subject(
                award.subject_kind,
                fact.activity_id or award.subject_id,
                fact.subject_label or labels.get(award.subject_id),
            ),
            fact.fact_id,
            award.points_due - award.points,
        )
        for award, fact in rows
        if award.transfer_id is not None
    }
