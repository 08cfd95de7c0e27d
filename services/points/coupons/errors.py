"""What is refused about coupons."""

from chassis.core.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, TooManyRequests


class NotOfHousehold(Forbidden):
    """The caller belongs to no household (any more) that could spend these points, as far as is known here.

    Identity may tell otherwise the next moment, of somebody who has just joined: not to be remembered.
    """

    code = "not_of_household"
    title, title_zh = "You are not a member of this household", "您不是该家庭的成员"

    @property
    def repeats(self) -> bool:
        return False


class HouseholdNotKnownYet(Conflict):
    """Identity has told nothing of the household yet, so nobody knows here who in it is a child.

    It will the next moment: not to be remembered.
    """

    code = "household_not_known_yet"
    title, title_zh = (
        "Your household is not known here yet; please try again in a moment",
        "家庭信息正在同步，请稍后再试",
    )

    @property
    def repeats(self) -> bool:
        return False


class GuardianNeeded(Forbidden):
    """A child under fourteen spends no points by themselves."""

    code = "guardian_needed"
    title, title_zh = "A guardian redeems this for you", "需由监护人代为兑换"

    @property
    def repeats(self) -> bool:
        return False


class MemberUnknown(Invalid):
    """Whom it is to be for is no member of the household, as far as is known here.

    Identity may tell of them the next moment: not to be remembered.
    """

    code = "member_unknown"
    title, title_zh = "No such member of your household is known here", "家庭中没有这位成员"

    def __init__(self) -> None:
        super().__init__(fields=[FieldError("body.for_member_id", "is no member of your household")])

    @property
    def repeats(self) -> bool:
        return False


class CouponNotFound(NotFound):
    """There is no such coupon, or it is not theirs to know of: the answer is the same."""

    code = "coupon_not_found"
    title, title_zh = "There is no such coupon", "没有这张券"


class CouponCodeWrong(CouponNotFound):
    """A code that never was right, or of a coupon that the merchant does not honour. The try is counted.

    To whoever asks it is a CouponNotFound. The count is kept: the transaction is committed, not undone.
    """

    keeps_changes = True


class CouponCodeMalformed(Invalid):
    """Not twenty digits. Says nothing of any coupon, and counts as no try."""

    code = "coupon_code_malformed"
    title, title_zh = "A coupon's code is twenty digits", "券码应为20位数字"

    def __init__(self) -> None:
        super().__init__(fields=[FieldError("body.coupon_code", "must be twenty digits")])


class CodeOrToken(Invalid):
    """Exactly one of a shown code and a token in its place says which coupon it is. `token` is the latter's field."""

    def __init__(self, token: str) -> None:
        reason = f"coupon_code与{token}须恰有一个 exactly one of coupon_code and {token} is needed"
        super().__init__(fields=[FieldError(f"body.{name}", reason) for name in ("coupon_code", token)])


class CouponCodeStale(Conflict):
    """The code was right within the last ten minutes and counts no longer: the coupon has a fresh one."""

    code = "coupon_code_stale"
    title, title_zh = "This code is too old; show the present one", "券码已过期，请出示最新券码"


class CouponUsed(Conflict):
    code = "coupon_used"
    title, title_zh = "This coupon was used", "券已核销"


class CouponLocked(Conflict):
    code = "coupon_locked"
    title, title_zh = "This coupon is locked for a till", "券已锁定"


class CouponExpired(Conflict):
    """Past its time, or taken out of use."""

    code = "coupon_expired"
    title, title_zh = "This coupon can no longer be used", "券已过期"


class CouponNotUsed(Conflict):
    """It is not used now, or not there, or that use was undone: another one is not undone in its place."""

    code = "coupon_not_used"
    title, title_zh = "This coupon is not used here", "该券未在此核销"


class ReturnTooLate(Forbidden):
    """More than an hour after the use: now staff alone may undo it."""

    code = "return_too_late"
    title, title_zh = "This use can no longer be undone here; ask the subdistrict", "已超过可撤销时间，请联系街道办理"


class UseSettled(Conflict):
    """The merchant's statement of that day is final."""

    code = "use_settled"
    title, title_zh = "This use is settled and stands", "该核销已结算，不能撤销"


class TooManyWrongCodes(TooManyRequests):
    """This coupon was tried, or this merchant has tried, too many wrong codes within the hour."""

    code = "too_many_wrong_codes"
    title, title_zh = "Too many wrong codes", "券码错误次数过多"
