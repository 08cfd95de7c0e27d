"""Coupons, and what became of them.

The service's role may neither update nor delete coupon events (see the migration).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from services.points.coupons.terms import CouponEventKind, CouponState, WrongCodeSubject
from services.points.rewards.tables import Reward
from services.points.tables import Base, words


class CouponLife:
    """What a till sees of a coupon and changes of it: the columns that `life` is about.

    A lock lapses by itself, and a coupon is over at `expires_at`, whether or not `state` says so: ask `rules.state_at`.
    """

    id: Mapped[str] = mapped_column(primary_key=True)
    face_fen: Mapped[int]
    payable_fen: Mapped[int]
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[CouponState] = mapped_column(words(CouponState))
    """What was posted last: never `locked`."""
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    happened: Mapped[int]
    """How much has happened to it, its issue included."""
    locked_until: Mapped[datetime | None]
    locked_by: Mapped[UUID | None]
    """The merchant."""
    locked_store_id: Mapped[str | None]
    used_at: Mapped[datetime | None]
    """When it was posted."""
    used_by: Mapped[UUID | None]
    """The merchant."""
    mchid: Mapped[str | None]
    store_id: Mapped[str | None]
    use_time: Mapped[datetime | None]
    """When the till says that it was used."""
    use_no: Mapped[str | None]

    @property
    def title(self) -> str:
        """What it is for."""
        raise NotImplementedError


def life_checks() -> tuple[CheckConstraint, ...]:
    """The constraints on these columns, for each table that has them."""
    return (
        CheckConstraint("id SIMILAR TO '[0-9]{14}'", name="id"),
        CheckConstraint("face_fen >= 0", name="face_fen"),
        CheckConstraint("payable_fen >= 0", name="payable_fen"),
        CheckConstraint("state <> 'locked'", name="state"),
        CheckConstraint("issued_at < expires_at", name="expires_at"),
        CheckConstraint("happened > 0", name="happened"),
        CheckConstraint(
            "num_nonnulls(locked_until, locked_by, locked_store_id) = CASE WHEN locked_until IS NULL THEN 0 ELSE 3 END"
            " AND (locked_until IS NULL OR state = 'effective')",
            name="lock",
        ),
        CheckConstraint(
            "num_nonnulls(used_at, used_by, mchid, store_id, use_time, use_no) ="
            " CASE WHEN state = 'used' THEN 6 ELSE 0 END",
            name="use",
        ),
    )


class Coupon(CouponLife, Base):
    """A claim of a household on a reward: fourteen digits that name it, and a secret that its codes come from.

    Cost, worth and promises are those of the day of issue. The fields of the use are set while it is used, those
    of a lock from when it is locked until something else happens to it.
    """

    __tablename__ = "coupon"
    __table_args__ = (
        *life_checks(),
        CheckConstraint("cost > 0", name="cost"),
        CheckConstraint("(use_transfer_id IS NULL) = (state <> 'used')", name="use_transfer_id"),
        UniqueConstraint("use_no"),
        Index(None, "household_id", "issued_at", "id"),
        Index(None, "household_id", "reward_id"),
        Index(None, "for_member_id", postgresql_where=text("for_member_id IS NOT NULL")),
        Index("ix_coupon_open", "expires_at", "id", postgresql_where=text("state = 'effective'")),
    )

    reward_id: Mapped[UUID] = mapped_column(ForeignKey("reward.id"))
    household_id: Mapped[UUID]
    person_id: Mapped[UUID]
    """The member who redeemed it."""
    for_member_id: Mapped[UUID | None]
    """The member whom it is for, where that was said: a child, whose guardian redeemed it. Null once their data
    were erased.
    """
    cost: Mapped[int]
    refund_on_expiry: Mapped[bool]
    """Whether its points come back where nobody used it in time, as was promised when it was issued."""
    issue_transfer_id: Mapped[UUID]
    use_transfer_id: Mapped[UUID | None]
    """That of its use, while it is used."""

    reward: Mapped[Reward] = relationship(lazy="raise", innerjoin=True)

    @property
    def title(self) -> str:
        """That of its reward, which must have been loaded."""
        return self.reward.title


class CouponEvent(Base):
    """What happened to a coupon, with the transfer that it was posted by: append-only, numbered from 1.

    A use says where and as what, and a return repeats it of the use that it undoes, so that bills can be made again
    after the coupon itself has moved on. Why staff did it are the words of the transfer. That it was locked is no
    event: nothing is posted.
    """

    __tablename__ = "coupon_event"
    __table_args__ = (
        UniqueConstraint("transfer_id"),
        UniqueConstraint("use_no", "kind"),
        CheckConstraint(
            "num_nonnulls(merchant_id, mchid, store_id, use_time, use_no) ="
            " CASE WHEN kind IN ('used', 'returned') THEN 5 ELSE 0 END",
            name="use",
        ),
        Index(None, "merchant_id", "at", postgresql_where=text("merchant_id IS NOT NULL")),
    )

    coupon_id: Mapped[str] = mapped_column(ForeignKey("coupon.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[CouponEventKind] = mapped_column(words(CouponEventKind))
    at: Mapped[datetime]
    """When its transfer was posted."""
    transfer_id: Mapped[UUID] = mapped_column(ForeignKey("transfer.id"))
    operator_id: Mapped[UUID | None]
    """The person who did it, where a person did: a clerk at a counter, or staff."""
    merchant_id: Mapped[UUID | None]
    mchid: Mapped[str | None]
    store_id: Mapped[str | None]
    use_time: Mapped[datetime | None]
    out_trade_no: Mapped[str | None]
    out_request_no: Mapped[str | None]
    """The merchant's number of the use or the return; none at a counter."""
    use_no: Mapped[str | None]

    @classmethod
    def of(cls, coupon: Coupon, number: int, kind: CouponEventKind, transfer_id: UUID, at: datetime) -> "CouponEvent":
        """What happened to a coupon; of a use or a return, whoever makes it says the rest."""
        return cls(
            coupon_id=coupon.id,
            number=number,
            kind=kind,
            at=at,
            transfer_id=transfer_id,
            operator_id=None,
            merchant_id=None,
            mchid=None,
            store_id=None,
            use_time=None,
            out_trade_no=None,
            out_request_no=None,
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
