"""What is written of a batch's coupons beside them: what happened, why staff did it, and what merchants are told."""

import secrets
from dataclasses import dataclass, field
from typing import NamedTuple, Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.points.coupons.life import Standing
from services.points.coupons.tables import Coupon, CouponEvent
from services.points.coupons.terms import CouponEventKind
from services.points.ledger.core.state import NewTransfer
from services.points.postings.plans import hash_of
from services.points.postings.queries import Done, keep_done
from services.points.postings.terms import Act
from services.points.webhooks.announcing import Announcement, announce

_SALT_BYTES = 16


class Words(NamedTuple):
    """Why somebody did it. The transfer keeps a salted hash, so that the words can be erased."""

    by: UUID
    words: str
    salt: bytes

    @classmethod
    def of(cls, by: UUID, words: str) -> Self:
        """With a salt of their own."""
        return cls(by, words, secrets.token_bytes(_SALT_BYTES))

    @property
    def hash(self) -> bytes:
        """What the transfer keeps."""
        return hash_of(self.salt, self.words)


@dataclass(slots=True)
class Record:
    """What is to be written when a batch is decided."""

    events: list[CouponEvent] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)

    def add(
        self,
        coupon: Coupon,
        kind: CouponEventKind,
        transfer: NewTransfer,
        *,
        by: UUID | None,
        words: Words | None = None,
    ) -> CouponEvent:
        """Something happened to a coupon just now. Of a use or a return the caller says the rest (`say_where`)."""
        event = CouponEvent.of(coupon, coupon.happened, kind, transfer.id, transfer.posted_at)
        event.operator_id = by
        self.events.append(event)
        if words is not None:
            why = Done(transfer.id, Act.COUPON, words.by, transfer.posted_at, None, None, words.words, words.salt)
            self.done.append(why)
        return event

    def say_where(self, event: CouponEvent, use: Standing, event_type: str, *, out_request_no: str | None) -> None:
        """Which use this event is about; the merchant is told. `use` stands as it does after the event."""
        assert use.used_by is not None
        event.merchant_id, event.mchid, event.store_id = use.used_by, use.mchid, use.store_id
        event.use_time, event.use_no, event.out_request_no = use.use_time, use.use_no, out_request_no
        told = {
            "coupon_id": use.id,
            "use_no": use.use_no,
            "store_id": use.store_id,
            "out_request_no": out_request_no,
            "state": use.state.upper(),
            "face_fen": use.face_fen,
            "payable_fen": use.payable_fen,
            "used_at": use.used_at,
        }
        if event.kind is CouponEventKind.RETURNED:
            told["returned_at"] = event.at
        self.announcements.append(Announcement(use.used_by, event_type, told, event.at))

    async def write(self, session: AsyncSession) -> None:
        """Write it in sets. The coupons that have changed are written with it."""
        session.add_all(self.events)
        await session.flush()
        await keep_done(session, self.done)
        await announce(session, self.announcements)


def posted(transfer: NewTransfer | None) -> NewTransfer:
    """The transfer of a command that always makes one."""
    assert transfer is not None, "a transfer was asked for"
    return transfer
