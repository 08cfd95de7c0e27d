"""What a reader of statements is refused."""

from chassis.core.errors import NotFound


class AccountNotFound(NotFound):
    """There is no such account, or it is not theirs to see: the answer is the same."""

    code = "account_not_found"
    title, title_zh = "There is no such account", "没有这个积分账户"
