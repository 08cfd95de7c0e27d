"""What the ledger refuses."""

from chassis.core.errors import Conflict, Invalid


class InsufficientPoints(Invalid):
    """Somebody would spend more than they have. Nothing was posted."""

    code = "insufficient_points"
    title, title_zh = "There are not enough points", "积分不足"


class ReversalExceedsTransfer(Conflict):
    code = "reversal_exceeds_transfer"
    title, title_zh = "More would be reversed than was transferred", "冲正金额超过原交易"


class LedgersMixed(Conflict):
    code = "ledgers_mixed"
    title, title_zh = "The two ledgers are never mixed", "两本积分账不能混用"
