"""What a household could get, and what expires, as it is asked for and shown."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from chassis.core.schema import In, Out
from services.points.coupons.schemas import CouponOut
from services.points.rewards.schemas import RewardOut
from services.points.statements.schemas import ExpiringOut


class OutlookPaging(In):
    """Which page."""

    cursor: Annotated[str, Field(max_length=1000)] | None = None
    limit: int = Field(default=50, ge=1, le=200)


class Horizon(In):
    """How many days ahead."""

    days: int = Field(default=30, ge=1, le=800)


class WithinReach(Out):
    """A reward that one's household could redeem now, and how many of it at most."""

    reward: RewardOut
    at_most: int


class ExpiringSoon(Out):
    """What expires by a moment (`until`), the first first: points that nobody spends, and coupons that nobody uses.

    Of coupons the first hundred; `more_coupons` says whether there are others.
    """

    until: datetime
    points: list[ExpiringOut]
    coupons: list[CouponOut]
    more_coupons: bool
