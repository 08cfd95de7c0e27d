"""Coupons, and what became of them.

The service's role may neither update nor delete coupon events (see the migration).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.points.coupons.terms import CouponEventKind, CouponState, WrongCodeSubject
from services.points.rewards.tables import Reward
from services.points.tables import Base, words


class Coupon(Base):
    """A claim of a household on a reward: fourteen digits that name it, and a secret that its codes come from.

    Cost and worth are those of the day of issue. The fields of the use are set while it is used.
    """

    __tablename__ = "coupon"
    __table_args__ = (
        CheckConstraint("id SIMILAR TO '[0-9]{14}'", name="id"),
        CheckConstraint("cost > 0", name="cost"),
        CheckConstraint("face_fen >= 0", name="face_fen"),
        CheckConstraint("payable_fen >= 0", name="payable_fen"),
        CheckConstraint("issued_at < expires_at", name="expires_at"),
        CheckConstraint(
            "num_nonnulls(used_at, used_by, mchid, store_id, use_time, use_no) ="
            " CASE WHEN state = 'used' THEN 6 ELSE 0 END",
            name="use",
        ),
        UniqueConstraint("use_no"),
        Index(None, "household_id", "issued_at", "id"),
        Index(None, "household_id", "reward_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"))
    household_id: Mapped[UUID]
    person_id: Mapped[UUID]
    """The member who redeemed it."""
    cost: Mapped[int]
    face_fen: Mapped[int]
    payable_fen: Mapped[int]
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[CouponState] = mapped_column(words(CouponState))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    """When it was posted."""
    used_by: Mapped[UUID | None]
    """The merchant."""
    mchid: Mapped[str | None]
    store_id: Mapped[str | None]
    use_time: Mapped[datetime | None]
    """When the till says that it was used."""
    use_no: Mapped[str | None]

    reward: Mapped[Reward] = relationship(lazy="raise", innerjoin=True)


class CouponEvent(Base):
    """What happened to a coupon, with the transfer that it was posted by: append-only, numbered from 1.

    A use says where and as what, so that bills can be made again after the coupon itself has moved on.
    """

    __tablename__ = "coupon_event"
    __table_args__ = (
        UniqueConstraint("transfer_id"),
        UniqueConstraint("use_no"),
        CheckConstraint(
            "num_nonnulls(merchant_id, mchid, store_id, use_time, use_no) = CASE WHEN kind = 'used' THEN 5 ELSE 0 END",
            name="use",
        ),
    )

    coupon_id: Mapped[str] = mapped_column(ForeignKey("coupon.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[CouponEventKind] = mapped_column(words(CouponEventKind))
    at: Mapped[datetime]
    transfer_id: Mapped[UUID] = mapped_column(ForeignKey("transfer.id"))
    merchant_id: Mapped[UUID | None]
    mchid: Mapped[str | None]
    store_id: Mapped[str | None]
    use_time: Mapped[datetime | None]
    out_trade_no: Mapped[str | None]
    use_no: Mapped[str | None]

    @classmethod
    def of(cls, coupon: Coupon, number: int, kind: CouponEventKind, transfer_id: UUID, at: datetime) -> "CouponEvent":
        """What happened to a coupon; of a use, whoever uses it says the rest."""
        return cls(
            coupon_id=coupon.id,
            number=number,
            kind=kind,
            at=at,
            transfer_id=transfer_id,
            merchant_id=None,
            mchid=None,
            store_id=None,
            use_time=None,
            out_trade_no=None,
            use_no=None,
        )


class WrongCodeCount(Base):
    """How many wrong codes one merchant sent, or were tried at one coupon, within one clock hour.

    `subject` is the merchant's id or the fourteen digits that were sent, whether or not they name a coupon.
    """

    __tablename__ = "wrong_code_count"
    __table_args__ = (CheckConstraint("wrong >= 0", name="wrong"),)

    by: Mapped[WrongCodeSubject] = mapped_column(words(WrongCodeSubject), primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True, index=True)
    wrong: Mapped[int]
