"""Words of this service that all of its domains share."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Category(StrEnum):
    """The eight categories of activities. The first three stand in the rule book, the others are our choice."""

    VOLUNTEERING = "volunteering"
    CAREER_EXPERIENCE = "career_experience"
    CULTURAL_HERITAGE = "cultural_heritage"
    COMMUNITY_LEARNING = "community_learning"
    ELDER_CARE = "elder_care"
    ENVIRONMENT = "environment"
    SPORTS_HEALTH = "sports_health"
    SAFETY_EDUCATION = "safety_education"

    @property
    def zh(self) -> str:
        """The name that people know it by."""
        return CATEGORY_ZH[self]


CATEGORY_ZH: Mapping[Category, str] = MappingProxyType(
    {
        Category.VOLUNTEERING: "志愿服务",
        Category.CAREER_EXPERIENCE: "职业体验",
        Category.CULTURAL_HERITAGE: "文化传承",
        Category.COMMUNITY_LEARNING: "社区研学",
        Category.ELDER_CARE: "敬老助老",
        Category.ENVIRONMENT: "环保公益",
        Category.SPORTS_HEALTH: "体育健康",
        Category.SAFETY_EDUCATION: "安全教育",
    }
)


class ActivityState(StrEnum):
    """Where an activity stands. RUNNING 进行中 is not stored: an open or closed one runs from its start to its end."""

    DRAFT = "draft"  # 草稿
    REVIEW = "review"  # 待审核
    PUBLISHED = "published"  # 已发布
    OPEN = "open"  # 报名中
    CLOSED = "closed"  # 报名截止
    RUNNING = "running"  # 进行中
    ENDED = "ended"  # 已结束
    SETTLED = "settled"  # 已结算
    CANCELLED = "cancelled"  # 已取消


class SignupState(StrEnum):
    """Where a sign-up stands."""

    CONFIRMED = "confirmed"  # 报名成功
    WAITLISTED = "waitlisted"  # 候补中
    WITHDRAWN = "withdrawn"  # 已退出
    LATE = "late"  # 开始后退出


class AttendanceState(StrEnum):
    """Where the attendance of one member stands."""

    CHECKED_IN = "checked_in"  # 已签到
    CHECKED_OUT = "checked_out"  # 已签退
    IN_REVIEW = "in_review"  # 待核实: no check-out, or the organiser's own household
    VERIFIED = "verified"  # 已核实
    NO_SHOW = "no_show"  # 未到


UNDER_WAY = (ActivityState.OPEN, ActivityState.CLOSED)
"""Activities, as they are stored, whose sign-ups count: seats are taken and freed, the queue moves."""

LIVING = (SignupState.CONFIRMED, SignupState.WAITLISTED)
"""Sign-ups that hold a seat or a place in the queue."""
