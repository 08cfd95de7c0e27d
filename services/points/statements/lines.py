"""The lines of a statement: what each transfer did to one account, and what it was for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.points.awards.queries import subject_labels
from services.points.awards.tables import Award, Fact
from services.points.awards.terms import SubjectKind
from services.points.ledger.tables import Allocation, Transfer, TransferText
from services.points.ledger.terms import TransferCode
from services.points.rewards.queries import coupons_of_transfers
from services.points.rewards.terms import CouponRef


@dataclass(frozen=True, slots=True)
class Subject:
    """What points were awarded for: an order and its number, or an activity (not the attendance) and its title."""

    kind: SubjectKind
    id: UUID
    label: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a statement. `amount` is signed; `balance` and `version` are the account's after it.

    `lot` is the transfer whose points expired, or came back from that; `merged` the account that joined this one, or
    that this one joined; `reason` what was said where points were moved by hand.
    """

    account_id: UUID
    transfer: Transfer
    amount: int
    balance: int
    version: int
    subject: Subject | None
    fact_id: UUID | None
    coupon: CouponRef | None
    withheld: int
    lot: UUID | None
    merged: UUID | None
    reason: str | None


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
    texts = await _texts(session, [transfer.id for transfer in transfers if transfer.text_hash is not None])
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
    expiries = select(Transfer.id).where(Transfer.id.in_(back), Transfer.code == TransferCode.EXPIRY)
    expired = set(await session.scalars(expiries)) if back else set()
    wanted = {
        transfer.id for transfer in transfers if transfer.code is TransferCode.EXPIRY or transfer.reverses_id in expired
    }
    if not wanted:
        return {}
    rows = await session.execute(select(Allocation.cause_id, Allocation.lot_id).where(Allocation.cause_id.in_(wanted)))
    return dict(rows.all())


async def _earned(session: AsyncSession, transfer_ids: Collection[UUID]) -> dict[UUID, _Earned]:
    awarded = select(Award, Fact).join(Fact, Fact.position == Award.fact_position)
    rows = (await session.execute(awarded.where(Award.transfer_id.in_(transfer_ids)))).all()
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


async def _texts(session: AsyncSession, transfer_ids: Collection[UUID]) -> dict[UUID, str]:
    if not transfer_ids:
        return {}
    said = select(TransferText.transfer_id, TransferText.words).where(TransferText.transfer_id.in_(transfer_ids))
    return dict((await session.execute(said)).all())
