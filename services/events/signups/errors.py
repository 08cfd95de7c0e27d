"""What can go wrong with a sign-up."""

from chassis.core.errors import Conflict, Invalid, NotFound


class SignupNotFound(NotFound):
    """There is none, or it is another household's."""

    code = "signup_not_found"
    title, title_zh = "There is no such sign-up", "没有这条报名记录"


class SignupClosed(Conflict):
    code = "signup_closed"
    title, title_zh = "Nobody can sign up for this activity now", "该活动目前不接受报名"


class AlreadySignedUp(Conflict):
    code = "already_signed_up"
    title, title_zh = "Has been signed up for this activity already", "已报名该活动"


class TooManyForActivity(Invalid):
    code = "too_many_for_activity"
    title, title_zh = "The activity has fewer places than that", "报名人数超过活动名额"


class NoShowPause(Conflict):
    """Twice within sixty days they had a seat that somebody else could have used, and did not come."""

    code = "no_show_pause"
    title, title_zh = "Did not come twice, and may not sign up for a while", "两次未到场，暂时不能报名"


class SignupOver(Conflict):
    """It was withdrawn or ended before, or the activity is over."""

    code = "signup_over"
    title, title_zh = "This sign-up has come to its end", "该报名已结束"


class AlreadyCheckedIn(Conflict):
    code = "already_checked_in"
    title, title_zh = "Somebody of this sign-up has checked in", "已有成员签到，不能退出"
