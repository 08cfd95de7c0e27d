"""What can go wrong where a household acts."""

from chassis.core.errors import Conflict, Forbidden, Invalid


class NoHousehold(Conflict):
    code = "no_household"
    title, title_zh = "You belong to no household yet", "您还没有加入家庭"


class NotOfHousehold(Forbidden):
    """The household that the access token names is no longer theirs, or the caller is a child."""

    code = "not_of_household"
    title, title_zh = (
        "You are not an adult member of this household now; sign in again",
        "您现在不是该家庭的成年成员，请重新登录",
    )


class NotAMember(Invalid):
    code = "not_a_member"
    title, title_zh = "Not a member of your household", "不是您的家庭成员"


class ConsentRequired(Invalid):
    code = "consent_required"
    title, title_zh = "A child under fourteen needs a guardian's consent", "未满十四周岁的儿童须经监护人同意"
