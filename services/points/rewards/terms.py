"""Words of rewards."""

from enum import StrEnum


class RewardKind(StrEnum):
    """What a reward is."""

    GOODS = "goods"
    SERVICE = "service"
    HONOUR = "honour"
