"""What can go wrong with households and invitations."""

from chassis.core.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, TooManyRequests


class HouseholdNotFound(NotFound):
    code = "household_not_found"
    title, title_zh = "There is no such household", "没有这个家庭"


class NoHousehold(Conflict):
    """Staff who do not live here have no household until they join one."""

    code = "no_household"
    title, title_zh = "You belong to no household here", "您还没有加入家庭"


class NotAdult(Forbidden):
    """Who is under fourteen, or has guardians and no phone of their own, does not decide for the family."""

    code = "not_an_adult"
    title, title_zh = "This is for an adult of the household", "须由家庭中的成年人办理"


class HouseholdFull(Conflict):
    code = "household_full"
    title, title_zh = "The household has as many members as it can", "家庭成员已达上限"


class AlreadyMember(Conflict):
    code = "already_member"
    title, title_zh = "You belong to this household already", "您已是该家庭的成员"


class LivesAlone(Conflict):
    """A household of one has nobody to leave."""

    code = "lives_alone"
    title, title_zh = "You are the only member of your household", "您的家庭只有您一人"


class LastAdult(Conflict):
    """The last adult cannot leave the children behind; joining another household with them is possible."""

    code = "last_adult"
    title, title_zh = "You are the last adult here, and there are children", "家中还有儿童，最后一位成年人不能离开"


class MemberNotFound(NotFound):
    """Nobody of that id is an adult of the household."""

    code = "member_not_found"
    title, title_zh = "There is no such adult in your household", "您的家庭中没有这位成年人"


class NotEarlier(Forbidden):
    """Who came first does not give way to who came later, nor do those who came together to one another."""

    code = "not_earlier"
    title, title_zh = "Only an adult who was here before them puts a member out", "只有更早加入的成年人才能请出成员"


class GuardianStays(Conflict):
    """Whom another guardian made one too is no stranger to the children, and is not parted from them by others."""

    code = "guardian_stays"
    title, title_zh = "They are a guardian of a child of the household", "对方是家中儿童的监护人，不能请出"


class TooManyInvitations(Conflict):
    code = "too_many_invitations"
    title, title_zh = "Too many invitations are open", "未使用的邀请码已达上限"


class TooManyInvitationsToday(TooManyRequests):
    code = "too_many_invitations_today"
    title, title_zh = "Too many invitations were made within a day", "今日生成的邀请码过多"


class InvitationNotFound(NotFound):
    code = "invitation_not_found"
    title, title_zh = "There is no such invitation", "没有这个邀请"


class InvitationInvalid(Invalid):
    """The code is wrong, used, revoked or expired. Which of them is not told."""

    code = "invitation_invalid"
    keeps_changes = True  # the try stays counted
    title, title_zh = "The invitation code is wrong or no longer valid", "邀请码错误或已失效"

    def __init__(self) -> None:
        super().__init__(
            "Ask the household for a new code.", fields=[FieldError("body.code", "is wrong, was used, or has expired")]
        )


class TooManyWrongInvitations(TooManyRequests):
    """This person, or this address, has offered too many wrong codes within the hour."""

    code = "too_many_wrong_invitations"
    title, title_zh = "Too many wrong invitation codes", "邀请码错误次数过多"
