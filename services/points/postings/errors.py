"""What is refused of what administrators do by hand, besides what the ledger refuses."""

from chassis.core.errors import Conflict, Forbidden, Invalid, NotFound


class NotByHand(Invalid):
    """The account or transfer belongs to coupons or bills, and moves with these alone."""

    code = "not_by_hand"
    title, title_zh = "This moves with coupons and bills, not by hand", "此账户随兑换券和账单变动，不能手工记账"


class HouseholdUnknown(Invalid):
    """Neither identity nor any fact has told of this household: points would wait for somebody who never comes.

    Identity may tell of it the next moment: not to be remembered.
    """

    code = "household_unknown"
    title, title_zh = "No such household is known here", "没有这个家庭"

    @property
    def repeats(self) -> bool:
        return False


class LinkOpen(Invalid):
    code = "link_open"
    title, title_zh = "The last transfer of a batch cannot be linked to the next", "批次中最后一笔不能与下一笔关联"


class OccurredAhead(Invalid):
    code = "occurred_ahead"
    title, title_zh = "What is posted has happened already", "发生时间不能晚于现在"


class LinkedFailed(Conflict):
    """Another transfer of the same group was refused, so none of the group was carried out."""

    code = "linked_failed"
    title, title_zh = "A transfer that is linked to this one was refused", "关联的交易未通过，本笔未执行"


class ProposalNotFound(NotFound):
    code = "proposal_not_found"
    title, title_zh = "There is no such proposal", "没有这条待复核记账"


class ProposalClosed(Conflict):
    """Somebody has approved or rejected it already."""

    code = "proposal_closed"
    title, title_zh = "The proposal was decided on already", "该记账已复核"


class ProposalLapsed(Conflict):
    code = "proposal_lapsed"
    title, title_zh = "Nobody decided on the proposal in time; propose it anew", "待复核记账已过期，请重新提交"


class ProposalPending(Conflict):
    """Another administrator must be able to read what they decide on."""

    code = "proposal_pending"
    title, title_zh = "The proposal still waits; reject it first", "该记账尚待复核，请先退回"


class OwnProposal(Forbidden):
    code = "own_proposal"
    title, title_zh = "Another administrator decides on this", "须由另一位管理员复核"


class OwnPoints(Forbidden):
    """Whoever approves, or gives a hold back, has no points of their own in it."""

    code = "own_points"
    title, title_zh = "It moves points of your own or your household's", "涉及本人或本家庭的积分，不能由本人复核"
