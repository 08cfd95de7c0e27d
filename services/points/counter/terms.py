"""Words of the counter 柜台."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

GONE = "已注销"
"""What stands for the name of a clerk who has deleted their account."""


class ClerkState(StrEnum):
    """Where somebody stands who was invited to a store."""

    INVITED = "invited"  # the code can still be used
    LAPSED = "lapsed"  # its 24 hours are over: another is needed
    ACTIVE = "active"
    REVOKED = "revoked"


class CounterRole(StrEnum):
    """As what somebody stands at a counter."""

    MANAGER = "manager"  # 店主: at each of the merchant's stores
    CLERK = "clerk"  # 店员: at the stores that they were invited to


@dataclass(frozen=True, slots=True)
class Place:
    """A store's counter and who stands there: what a use or return is asked for at."""

    person_id: UUID
    household_id: UUID | None
    manages: UUID | None
    """The merchant whose manager they are, if they are one."""
    merchant_id: UUID
    store_id: str


@dataclass(frozen=True, slots=True)
class Counter:
    """A store as whoever stands at its counter may know it."""

    merchant_id: UUID
    merchant_name: str
    mchid: str
    store_id: str
    store_name: str
    suspended: bool
    standing: CounterRole
