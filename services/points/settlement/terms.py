"""Words of settlement: what merchants' bills and statements are made of."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class Op(StrEnum):
    """What a line of a bill or statement is about, as it is written there."""

    USE = "USE"
    RETURN = "RETURN"
    ADJUST = "ADJUST"  # in statements alone


class Line(NamedTuple):
    """A use of a coupon, or what took one back: then money and points are negative, and store, number and time those of
    the use.
    """

    number: int
    """That of its transfer in the ledger."""
    posted_at: datetime
    store_id: str
    stock_id: UUID
    """The reward's."""
    coupon_id: str
    out_request_no: str | None
    """The merchant's number of the use or the return itself; none at a counter."""
    use_no: str
    op: Op
    use_time: datetime
    face_fen: int
    payable_fen: int
    points: int


class Sums(NamedTuple):
    """What lines come to: returns count as lines, and their money and points as minus."""

    lines: int
    face_fen: int
    payable_fen: int
    points: int


NO_SUMS = Sums(0, 0, 0, 0)
"""What no lines come to."""


class StatementState(StrEnum):
    """Where the statement of a month stands."""

    DRAFT = "draft"  # 待确认: the merchant may dispute it
    CONFIRMED = "confirmed"  # 已确认: its uses are settled, and nothing of it changes any more
    PAID = "paid"  # 已付款


class AdjustmentState(StrEnum):
    """What became of a line that somebody wants to add to a statement."""

    PENDING = "pending"  # another administrator has to approve it
    APPROVED = "approved"
    REJECTED = "rejected"


class Unsettled(NamedTuple):
    """What keeps a draft from being confirmed."""

    disputed: bool
    adjustment_pending: bool
    earlier_draft: bool
    """An earlier month of the merchant's is a draft still."""


class StoreSums(NamedTuple):
    """What the lines of one store come to."""

    store_id: str
    uses: int
    returns: int
    face_fen: int
    payable_fen: int
    points: int
