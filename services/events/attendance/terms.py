"""Words of attendance."""

from enum import StrEnum


class Why(StrEnum):
    """Why an attendance waits for review, or ended before its member checked out."""

    NO_CHECK_OUT = "no_check_out"  # 未签退
    OWN_HOUSEHOLD = "own_household"  # 组织者本人家庭
    CONSENT_WITHDRAWN = "consent_withdrawn"  # 监护人撤回同意
    LEFT_HOUSEHOLD = "left_household"  # 已离开家庭


ENDED_EARLY = frozenset({Why.CONSENT_WITHDRAWN, Why.LEFT_HOUSEHOLD})
"""Whoever's attendance ended so takes part in this activity no more."""
