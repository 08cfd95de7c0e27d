"""Words of rewards."""

from enum import StrEnum


class RewardKind(StrEnum):
    """What a reward is."""

    GOODS = "goods"  # 实物
    SERVICE = "service"  # 服务
    PLACE = "place"  # 活动名额: a place in a premium activity
    HONOUR = "honour"  # 荣誉


class RewardState(StrEnum):
    """Where a reward stands. One administrator writes it, another approves it."""

    DRAFT = "draft"  # 草稿
    APPROVED = "approved"  # 已批准
    LISTED = "listed"  # 已上架
    ENDED = "ended"  # 已下架


class LimitPeriod(StrEnum):
    """Within which time a household may have so many of a reward; days, weeks and so on are Beijing's."""

    EVER = "ever"
    DAY = "day"
    WEEK = "week"  # from Monday
    MONTH = "month"
    YEAR = "year"


class Audience(StrEnum):
    """Who may redeem a reward 谁可兑.

    What households are is known as identity told it. Who is a party member or a courier no service is told: these
    stand on a roll that administrators keep here (`RollEntry`).
    """

    EVERYONE = "everyone"
    FAMILIES = "families"  # 家庭: two members or more
    FAMILIES_WITH_CHILDREN = "families_with_children"  # 有14岁以下儿童的家庭
    PARTY_MEMBERS = "party_members"  # 党员: whoever redeems stands on the roll
    COURIERS = "couriers"  # 新就业群体: likewise


ROLLS = frozenset({Audience.PARTY_MEMBERS, Audience.COURIERS})
"""Whose members stand on a roll."""


class ChangeKind(StrEnum):
    """What was done to a reward."""

    DRAFTED = "drafted"
    EDITED = "edited"
    APPROVED = "approved"
    LISTED = "listed"
    REVISED = "revised"  # while it was listed
    RESTOCKED = "restocked"
    ENDED = "ended"


class Sort(StrEnum):
    """In which order a catalogue is shown."""

    CHEAPEST = "cheapest"
    DEAREST = "dearest"
    NEWEST = "newest"
    ENDING = "ending"  # what ends first


class When(StrEnum):
    """What a catalogue shows of what is listed."""

    NOW = "now"  # on offer
    SOON = "soon"  # not on offer yet
