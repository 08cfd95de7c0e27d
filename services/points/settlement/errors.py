"""What is refused about statements and payments."""

from chassis.core.errors import Conflict, FieldError, Forbidden, Invalid, NotFound


class StatementNotFound(NotFound):
    """There is no such statement, or it is another merchant's: the answer is the same."""

    code = "statement_not_found"
    title, title_zh = "There is no such statement", "没有这份月结单"


class StatementClosed(Conflict):
    code = "statement_closed"
    title, title_zh = "The statement is confirmed; nothing of it changes any more", "月结单已确认，不能再变更"


class DisputeTooLate(Conflict):
    """The five working days are over, whether or not it was confirmed yet."""

    code = "dispute_too_late"
    title, title_zh = "The time to dispute this statement is over", "已过异议期"


class DisputeOpen(Conflict):
    code = "dispute_open"
    title, title_zh = "The statement is disputed", "月结单有未处理的异议"


class NotDisputed(Conflict):
    code = "not_disputed"
    title, title_zh = "Nothing is said against this statement", "月结单没有待处理的异议"


class EarlierMonthOpen(Conflict):
    """Months are settled in their order: a return is refused by one day before which all is settled."""

    code = "earlier_month_open"
    title, title_zh = "An earlier month is not confirmed yet", "此前月份尚未确认"


class AdjustmentNotFound(NotFound):
    code = "adjustment_not_found"
    title, title_zh = "There is no such adjustment", "没有这笔调整"


class AdjustmentDecided(Conflict):
    code = "adjustment_decided"
    title, title_zh = "This adjustment was decided on", "调整已处理"


class AdjustmentPending(Conflict):
    code = "adjustment_pending"
    title, title_zh = "An adjustment waits for another administrator", "有待复核的调整"


class OwnAdjustment(Forbidden):
    code = "own_adjustment"
    title, title_zh = "Another administrator decides on this", "须由另一位管理员复核"


class OwnMerchant(Forbidden):
    """Whoever has a post at the merchant is no administrator towards it."""

    code = "own_merchant"
    title, title_zh = "This is your own merchant", "不能处理本商户的结算"


class NotConfirmed(Conflict):
    code = "statement_not_confirmed"
    title, title_zh = "The statement is not confirmed yet", "月结单尚未确认"


class PaidAlready(Conflict):
    code = "statement_paid"
    title, title_zh = "The statement is paid", "月结单已付款"


class AmountDiffers(Invalid):
    """What was paid is not what the months come to."""

    code = "amount_differs"
    title, title_zh = "This is not what the statements come to", "金额与应付金额不符"

    def __init__(self, due_fen: int) -> None:
        super().__init__(fields=[FieldError("body.amount_fen", f"must be {due_fen}")])


class BankReferenceNeeded(Invalid):
    code = "bank_reference_needed"
    title, title_zh = "Say what the bank calls the payment", "请填写银行流水号"

    def __init__(self) -> None:
        super().__init__(fields=[FieldError("body.bank_reference", "is needed where money was paid")])


class BankReferenceUsed(Conflict):
    code = "bank_reference_used"
    title, title_zh = "A payment to this merchant bears this reference", "该银行流水号已登记"

    def __init__(self) -> None:
        super().__init__(fields=[FieldError("body.bank_reference", "belongs to another payment")])


class DayNotOver(Conflict):
    """A bill is made once nothing can be added to it."""

    code = "day_not_over"
    title, title_zh = "The bill of a day is there from ten o'clock of the next one", "日账单于次日10点后可下载"
