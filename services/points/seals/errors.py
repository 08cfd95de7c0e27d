"""What is refused of seals."""

from math import ceil

from chassis.core.errors import Conflict, DomainError, NotFound, Unavailable


class HeadNotFound(NotFound):
    """No head was signed over so many transfers."""

    code = "head_not_found"
    title, title_zh = "No such head was signed", "没有这个存证签名"


class HeadsInOrder(Conflict):
    """A tree is shown to begin with a smaller one, not the other way round."""

    code = "heads_not_in_order"
    title, title_zh = "The second head is older than the first", "后一个存证签名早于前一个"


class NotSealedYet(Unavailable):
    """The transfer could not be sealed for the asking: the follower does it as soon as it can."""

    code = "not_sealed_yet"
    title, title_zh = "The transfer is about to be sealed; ask again", "该笔积分正在存证，请稍后再试"

    def __init__(self, seconds: float) -> None:
        super().__init__(retry_after_seconds=max(1, ceil(seconds)))


class SealBroken(DomainError):
    """What is in the database is not what was sealed. Nothing more is signed until somebody has looked."""

    status, code = 500, "seal_broken"
    title, title_zh = "The ledger is not what was sealed", "账目与存证不符"
