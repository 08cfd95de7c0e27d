"""What can go wrong with check-ins, and with the verification of hours."""

from chassis.core.errors import Conflict, FieldError, Forbidden, Invalid, TooManyRequests


class VenueCodeWrong(Invalid):
    """Not the code that this activity shows now: another one's, an old one, or none at all."""

    code = "venue_code_wrong"
    keeps_changes = True  # the try stays counted
    title, title_zh = "The venue code is wrong or no longer shown", "现场签到码错误或已过期"

    def __init__(self) -> None:
        super().__init__(
            "Scan the code that the organiser shows at the venue now.",
            fields=[FieldError("body.code", "is not the code that is shown now")],
        )


class TooManyVenueCodes(TooManyRequests):
    """This household has offered too many wrong codes for this activity within the hour."""

    code = "too_many_venue_codes"
    title, title_zh = "Too many wrong venue codes", "现场签到码错误次数过多"


class TooEarly(Conflict):
    code = "too_early"
    title, title_zh = "The activity has not begun yet", "还未到签到时间"


class NotSignedUp(Conflict):
    """The household has no confirmed sign-up: none at all, or it waits."""

    code = "not_signed_up"
    title, title_zh = "Your household has no confirmed sign-up for this activity", "您的家庭未报名成功"


class MemberNotSignedUp(Invalid):
    code = "member_not_signed_up"
    title, title_zh = "This member is not in your household's sign-up", "该成员不在报名名单中"


class NotCheckedIn(Conflict):
    code = "not_checked_in"
    title, title_zh = "Check in first", "尚未签到"


class AttendanceEnded(Conflict):
    """It was ended before, since a consent was withdrawn or the member left the household."""

    code = "attendance_ended"
    title, title_zh = "This member takes part in this activity no more", "该成员已退出本次活动"


class OwnHousehold(Forbidden):
    code = "own_household"
    title, title_zh = "Nobody verifies the hours of their own household", "不能核实本人家庭的时长"


class NotInActivity(Invalid):
    code = "not_in_activity"
    title, title_zh = "This person did not take part in the activity", "该人员未参加此活动"


class AlreadyVerified(Conflict):
    """Verified before with other minutes: what is verified is changed by a correction."""

    code = "already_verified"
    title, title_zh = "These hours are verified already; correct them instead", "时长已核实，请使用更正"
