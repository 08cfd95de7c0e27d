"""What can go wrong with children, guardians and consents."""

from chassis.core.errors import Conflict, FieldError, Forbidden, Invalid, NotFound


class ChildNotFound(NotFound):
    code = "child_not_found"
    title, title_zh = "There is no such child in your household", "您的家庭中没有这个孩子"


class NotGuardian(Forbidden):
    """Only a guardian acts for a child: no grandparent who was not named, and not the child itself."""

    code = "not_guardian"
    title, title_zh = "This is for the child's guardians", "须由监护人办理"


class BirthDateInvalid(Invalid):
    """The day has not come yet, or is so long ago that the person is no child under fourteen."""

    code = "birth_date_invalid"
    title, title_zh = "That is not the birthday of a child under fourteen", "出生日期不属于十四周岁以下的儿童"

    def __init__(self, reason: str) -> None:
        super().__init__(fields=[FieldError("body.birth_date", reason)])


class ConsentTextOutdated(Invalid):
    """What is consented to is the text in force, by its version."""

    code = "consent_text_outdated"
    title, title_zh = "Read and accept the text in force", "请阅读并同意现行版本的同意书"

    def __init__(self, version: str) -> None:
        super().__init__(
            "The texts are at /api/identity/consent-texts.",
            fields=[FieldError("body.text_version", f"must be {version}, the version in force")],
        )


class ChildAlreadyThere(Conflict):
    """A child of this name is there, whatever its birthday: who is no guardian does not find that out by trying."""

    code = "child_already_there"
    title, title_zh = "This child belongs to the household already", "该儿童已在家庭中"


class TooManyChildren(Conflict):
    code = "too_many_children"
    title, title_zh = "The household has as many children as it can", "家庭中的儿童已达上限"


class TooManyGuardians(Conflict):
    code = "too_many_guardians"
    title, title_zh = "The child has as many guardians as it can", "该儿童的监护人已达上限"


class NotAnAdultMember(Invalid):
    """A guardian is an adult of the child's household."""

    code = "not_an_adult_member"
    title, title_zh = "A guardian is an adult of the household", "监护人须是本家庭的成年人"

    def __init__(self) -> None:
        super().__init__(fields=[FieldError("body.person_id", "is no adult of your household")])


class ConsentNotFound(NotFound):
    code = "consent_not_found"
    title, title_zh = "There is no such consent in your household", "您的家庭中没有这份同意"


class NoConsentNeeded(Conflict):
    """From fourteen on nobody consents in their place."""

    code = "no_consent_needed"
    title, title_zh = "From the age of fourteen no guardian's consent is needed", "已满十四周岁，无需监护人同意"
