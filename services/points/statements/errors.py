"""What a reader of statements is refused."""

from chassis.core.errors import Invalid, NotFound


class AccountNotFound(NotFound):
    """There is no such account, or it is not theirs to see: the answer is the same."""

    code = "account_not_found"
    title, title_zh = "There is no such account", "没有这个积分账户"


class PeriodTooLong(Invalid):
    code = "period_too_long"
    title, title_zh = "A statement is of a year at most", "对账单最长一年"


class StatementTooLong(Invalid):
    """A spreadsheet is made whole before it is sent; a CSV file of the same period is sent as it is read."""

    code = "statement_too_long"
    title, title_zh = "Too many lines for a spreadsheet; take a shorter period, or CSV", "明细过多，请缩短期间或下载CSV"
