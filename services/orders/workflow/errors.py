"""What can go wrong with a work order."""

from chassis.core.errors import Conflict, Forbidden, Invalid, NotFound


class OrderNotFound(NotFound):
    """There is none, or the caller may not know of it."""

    code = "order_not_found"
    title, title_zh = "There is no such order", "没有这个工单"


class WrongState(Conflict):
    code = "wrong_state"
    title, title_zh = "The order's state does not allow this", "工单当前状态不允许此操作"


class OrderAlreadyClaimed(Conflict):
    code = "order_already_claimed"
    title, title_zh = "Somebody has claimed this order", "工单已被抢"


class ClaimLimitReached(Conflict):
    code = "claim_limit_reached"
    title, title_zh = "Finish some of your open orders first", "未办结工单已达上限"


class NotHandler(Forbidden):
    code = "not_handler"
    title, title_zh = "This order is in somebody else's hands", "此工单由他人承办"


class OwnReport(Forbidden):
    code = "own_report"
    title, title_zh = "Nobody handles what they reported or entered", "不能承办本人反映或录入的诉求"


class UnitAccused(Invalid):
    code = "unit_accused"
    title, title_zh = "A complaint never goes to the company it is about", "投诉不得派给被投诉单位"
