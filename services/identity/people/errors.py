"""What can go wrong with people and households."""

from chassis.core.errors import Conflict, Invalid, NotFound, Unauthenticated


class PersonNotFound(NotFound):
    code = "person_not_found"
    title, title_zh = "There is no such person", "没有这个人"


class PhoneTaken(Conflict):
    """A phone number belongs to one person."""

    code = "phone_taken"
    title, title_zh = "This phone number belongs to somebody else", "该手机号已被他人使用"


class ChildWithPhone(Invalid):
    """A child has no phone of its own here; a guardian acts for it."""

    code = "child_with_phone"
    title, title_zh = "A child has no phone number of its own here", "儿童不单独登记手机号"


class InAnotherHousehold(Conflict):
    """A person belongs to one household."""

    code = "in_another_household"
    title, title_zh = "This person belongs to another household", "此人已属于其他家庭"


class PersonGone(Unauthenticated):
    """Who signed in was deleted since."""

    code = "person_gone"
    title, title_zh = "This account is no longer there", "账号已不存在"
