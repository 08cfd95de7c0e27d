"""What can go wrong with reports and photos."""

from chassis.core.errors import Conflict, Invalid, NotFound, TooManyRequests


class SubItemUnknown(Invalid):
    code = "subitem_unknown"
    title, title_zh = "There is no such sub-item", "没有这个事项"


class VisitImpossible(Invalid):
    code = "visit_impossible"
    title, title_zh = "A visit cannot be booked then", "预约时间无效"


class AlreadyReported(Conflict):
    """The same reporter reported the same thing at the same place, and it is still open."""

    code = "already_reported"
    title, title_zh = "You have reported this already, and it is being handled", "您已反映过此问题，正在办理"


class TooManyReports(TooManyRequests):
    code = "too_many_reports"
    title, title_zh = "Too many reports within an hour", "提交过于频繁，请稍后再试"


class TrackingUnknown(NotFound):
    code = "tracking_unknown"
    title, title_zh = "There is no such link", "链接无效"


class TooManyAdditions(Conflict):
    code = "too_many_additions"
    title, title_zh = "Nothing more can be added to this report", "补充内容已达上限"
