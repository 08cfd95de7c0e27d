"""Words of two-way points 双向积分+ that every domain of this service uses."""

from enum import StrEnum


class LedgerName(StrEnum):
    """The two ledgers, never mixed."""

    CIVIC = "civic"  # 志愿积分: earned by households, spent on rewards and activities
    STAFF = "staff"  # 积分链: measures the handling of orders, cannot be spent


class OwnerKind(StrEnum):
    """Whose an account is. A civic wallet is a household's, a staff wallet a person's."""

    PERSON = "person"
    HOUSEHOLD = "household"
    UNIT = "unit"
    MERCHANT = "merchant"
    SYSTEM = "system"
