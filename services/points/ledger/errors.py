"""What the ledger refuses. A refused command has changed nothing."""

from chassis.core.errors import Conflict, DomainError, Invalid, NotFound, Unavailable


class InsufficientPoints(Invalid):
    """Somebody would spend more than they have. Nothing was posted."""

    code = "insufficient_points"
    title, title_zh = "There are not enough points", "积分不足"


class AmountNotPositive(Invalid):
    code = "amount_not_positive"
    title, title_zh = "An amount is a whole number above zero", "积分数必须是正整数"


class AmountTooLarge(Invalid):
    """More than every JSON reader can tell from its neighbours (2**53 - 1), or a balance more than is stored."""

    code = "amount_too_large"
    title, title_zh = "The amount is too large", "积分数过大"


class SameAccount(Invalid):
    """Both sides are one account, or have become one by a merger."""

    code = "same_account"
    title, title_zh = "Points move between two different accounts", "转出与转入不能是同一账户"


class LapseNotAhead(Invalid):
    code = "lapse_not_ahead"
    title, title_zh = "A hold must end in the future", "冻结截止时间必须在将来"


class AccountNotFound(NotFound):
    code = "account_not_found"
    title, title_zh = "There is no such account", "账户不存在"


class HoldNotFound(NotFound):
    code = "hold_not_found"
    title, title_zh = "There is no such hold", "冻结记录不存在"


class TransferNotFound(NotFound):
    code = "transfer_not_found"
    title, title_zh = "There is no such transfer", "交易不存在"


class ReferenceUsed(Conflict):
    """A reference names one transfer (or one hold) for ever."""

    code = "reference_used"
    title, title_zh = "This reference was used before", "业务编号已使用"


class LedgersMixed(Conflict):
    code = "ledgers_mixed"
    title, title_zh = "The two ledgers are never mixed", "两本积分账不能混用"


class ReversalExceedsTransfer(Conflict):
    code = "reversal_exceeds_transfer"
    title, title_zh = "More would be reversed than was transferred", "冲正金额超过原交易"


class NotReversible(Conflict):
    """Reversals, mergers and expiries stand."""

    code = "not_reversible"
    title, title_zh = "Such a transfer cannot be reversed", "此类交易不能冲正"


class HoldAlreadyPosted(Conflict):
    code = "hold_already_posted"
    title, title_zh = "The hold was posted already", "冻结积分已入账"


class HoldVoided(Conflict):
    code = "hold_voided"
    title, title_zh = "The hold was voided", "冻结已撤销"


class HoldLapsed(Conflict):
    """Its time is over, whether or not its points were given back yet."""

    code = "hold_lapsed"
    title, title_zh = "The hold has lapsed", "冻结已到期失效"


class HoldExceeded(Conflict):
    code = "hold_exceeded"
    title, title_zh = "More would be posted than is held", "入账积分超过冻结积分"


class AlreadyMerged(Conflict):
    """An account is merged once, and into another."""

    code = "already_merged"
    title, title_zh = "The account was merged already", "账户已合并"


class ClockAhead(Unavailable):
    """This machine's clock is far ahead of the database's. What it posted would date all that is posted after it, and
    points would expire and holds lapse before their time, for good.
    """

    code = "clock_ahead"
    title, title_zh = "This machine's clock is wrong; nothing is posted until it is right", "本机时钟有误，校正前不记账"


class NotCarriedOut(DomainError):
    """One of many that are carried out together made the database fail: our fault, and the others are spared it."""

    status, code = 500, "not_carried_out"
    title, title_zh = "This one could not be carried out", "该笔未能执行"
