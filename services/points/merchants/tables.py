"""Merchants, the keys that they sign with, and the requests that they made under numbers of their own."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from services.points.coupons.tables import CouponLife, life_checks
from services.points.merchants.terms import Algorithm, Answer, MerchantState, NumberKey, Operation
from services.points.tables import Base, words


class Merchant(Base):
    """An organisation that honours coupons. `mchid` 商户号 is what it signs as."""

    __tablename__ = "merchant"
    __table_args__ = (CheckConstraint("mchid SIMILAR TO '[0-9]{10}'", name="mchid"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """The organisation's."""
    mchid: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    state: Mapped[MerchantState] = mapped_column(words(MerchantState))
    settled_before: Mapped[date | None]
    """Uses that were posted before this day of Beijing are settled, for good; none are where it is missing."""


class Store(Base):
    """One of a merchant's stores. Its id is the merchant's own. At a closed one nothing is redeemed."""

    __tablename__ = "merchant_store"

    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    closed_at: Mapped[datetime | None]


class MerchantKey(Base):
    """A merchant's public key. It is good from `not_before` until before `not_after`, unless revoked earlier."""

    __tablename__ = "merchant_key"
    __table_args__ = (CheckConstraint("not_before < not_after", name="validity"),)

    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"), primary_key=True)
    serial_no: Mapped[str] = mapped_column(primary_key=True)
    algorithm: Mapped[Algorithm] = mapped_column(words(Algorithm))
    public_key: Mapped[str]
    """SubjectPublicKeyInfo as PEM."""
    sandbox: Mapped[bool]
    """For a sandbox key there are the coupons of the sandbox alone, for a live one those that households have."""
    not_before: Mapped[datetime]
    not_after: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class MerchantNonce(Base):
    """A nonce that came with a good signature. It is remembered for longer than its timestamp is good for."""

    __tablename__ = "merchant_nonce"
    __table_args__ = (Index(None, "seen_at"),)

    merchant_id: Mapped[UUID] = mapped_column(primary_key=True)
    serial_no: Mapped[str] = mapped_column(primary_key=True)
    nonce: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime]


class MerchantRequest(Base):
    """A request under a merchant's own number, and the first answer to it.

    It is kept for good (some 700 bytes): a number is unique for ever, and whoever repeats it, however late, gets its
    first answer. Those of the sandbox go with its coupons.
    """

    __tablename__ = "merchant_request"
    __table_args__ = (Index("ix_merchant_request_sandbox", "answered_at", postgresql_where=text("sandbox")),)

    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"), primary_key=True)
    sandbox: Mapped[bool] = mapped_column(primary_key=True)
    operation: Mapped[Operation] = mapped_column(words(Operation), primary_key=True)
    out_request_no: Mapped[str] = mapped_column(primary_key=True)
    parameters_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    coupon_id: Mapped[str]
    """The fourteen digits that were sent, whether or not they name a coupon."""
    status: Mapped[int | None]
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    answered_at: Mapped[datetime | None]

    @property
    def number(self) -> NumberKey:
        """What it was made under."""
        return NumberKey(self.merchant_id, self.sandbox, self.operation, self.out_request_no)

    def kept(self) -> Answer:
        """The first answer. It is there: a number is taken by the answer under it."""
        assert self.status is not None
        assert self.answer is not None
        return Answer(self.status, self.answer)


class SandboxCoupon(CouponLife, Base):
    """A coupon that a merchant tries its till with. Its id begins with 0, as no household's does."""

    __tablename__ = "sandbox_coupon"
    __table_args__ = (
        *life_checks(),
        CheckConstraint("id SIMILAR TO '0%'", name="sandbox"),
        Index(None, "merchant_id", "issued_at"),
        Index(None, "issued_at"),
    )

    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("merchant.id"))
    reward_title: Mapped[str]

    @property
    def title(self) -> str:
        """What it would be for."""
        return self.reward_title
