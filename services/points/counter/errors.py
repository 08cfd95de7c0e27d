"""What is refused at the counter, and to clerks."""

from chassis.core.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, TooManyRequests


class NotAtThisCounter(Forbidden):
    """Not a clerk of this store nor the merchant's manager, or the store is closed.

    They may be invited the next moment: not to be remembered.
    """

    code = "not_at_this_counter"
    title, title_zh = "You do not work at this store's counter", "您不是该门店的店员"

    @property
    def repeats(self) -> bool:
        return False


class MerchantSuspended(Forbidden):
    code = "merchant_suspended"
    title, title_zh = "This merchant takes no coupons just now", "该商户已暂停核销"

    @property
    def repeats(self) -> bool:
        return False


class OwnCoupon(Forbidden):
    """Nobody redeems a coupon of their own household, nor gives it back: somebody else at the counter does."""

    code = "own_coupon"
    title, title_zh = "Somebody else must redeem your household's coupon", "本人家庭的券须由他人核销"


class CounterTokenInvalid(Invalid):
    """Not a token that this person was given at this counter."""

    code = "counter_token_invalid"
    title, title_zh = "Look at the coupon again", "请重新扫码"

    def __init__(self) -> None:
        super().__init__(fields=[FieldError("body.token", "was not made for this person and store")])


class ClerkNotFound(NotFound):
    code = "clerk_not_found"
    title, title_zh = "There is no such clerk", "没有这个店员"


class ClerkJoined(Conflict):
    code = "clerk_joined"
    title, title_zh = "This clerk has joined already, or was revoked", "该店员已加入或已停用"


class TooManyClerks(Conflict):
    code = "too_many_clerks"
    title, title_zh = "The merchant has as many clerks as it may", "店员数量已达上限"


class InvitationWrong(Invalid):
    """No invitation has this code, or it was used, or its time is over. The try is counted."""

    code = "invitation_wrong"
    keeps_changes = True
    title, title_zh = "The invitation code is wrong or no longer valid", "邀请码错误或已失效"

    def __init__(self) -> None:
        super().__init__(fields=[FieldError("body.code", "is wrong, was used, or has expired")])

    @property
    def repeats(self) -> bool:
        return False


class TooManyInvitationTries(TooManyRequests):
    code = "too_many_invitation_tries"
    title, title_zh = "Too many wrong invitation codes", "邀请码错误次数过多"


class AlreadyClerk(Conflict):
    code = "already_clerk"
    title, title_zh = "You work at this store already", "您已是该门店店员"
