"""The words of the pages: what the API says in terms, in Chinese that anybody understands."""

from collections.abc import Mapping

PLACE_KINDS: Mapping[str, str] = {
    "estate": "小区",
    "building": "楼栋",
    "entrance": "单元门",
    "lift": "电梯",
    "lane": "背街小巷",
    "room": "公共用房",
}

STEPS = ("收到", "接单", "办理", "回访", "办结")

# State → the step it belongs to, the headline, and what happens next.
_STATES: Mapping[str, tuple[int, str, str]] = {
    "submitted": (0, "已收到", "正在安排由哪个单位来办。"),
    "pooled": (0, "已收到", "已交给承办单位，等工作人员接单。"),
    "assigned": (0, "已派单", "已派给工作人员，等他接单。"),
    "claimed": (1, "有人接单了", "工作人员会和您联系。"),
    "met": (2, "已经联系上您", "工作人员了解了情况，接下来动手办。"),
    "in_progress": (2, "正在办理", "工作人员正在处理。"),
    "waiting_resident": (2, "等您补充", "工作人员需要您补充情况，请在下面写。"),
    "escalation_pending": (2, "正在上报", "要由上一级单位来办，正在衔接。"),
    "suspend_pending": (2, "正在办理", "这件事需要更长时间，街道正在审核。"),
    "suspended": (2, "暂缓办理", "条件还不具备，街道每 30 天复查一次。"),
    "resolved": (3, "办好了，请您确认", "请在下面告诉我们：解决了吗？您满意吗？"),
    "review_pending": (3, "正在复核", "您认为没有办好，街道正在复核。"),
    "closed": (4, "已办结", "这件事已经办结。"),
    "reopen_requested": (3, "已申请重办", "街道正在审核您的申请。"),
    "cancelled": (4, "您已撤回", "这件事不再办理。"),
    "rejected": (4, "不予受理", "原因见下面的经过。"),
    "merged": (4, "已合并办理", "同一个问题已经在办，结果会一样告诉您。"),
}
_UNKNOWN = (2, "正在办理", "")

# Where an order came to an end without having been handled, the progress line says nothing.
STOPPED = frozenset({"cancelled", "rejected"})

# What one row of the history says, by the state it led to; by both states where that tells more.
_HAPPENED: Mapping[str, str] = {
    "submitted": "收到您反映的问题",
    "pooled": "已交给承办单位",
    "claimed": "工作人员接单",
    "met": "工作人员和您见面，或通了电话",
    "in_progress": "开始办理",
    "resolved": "办好了，等您确认",
    "review_pending": "街道开始复核",
    "closed": "办结",
    "cancelled": "您撤回了",
}
_HAPPENED_BETWEEN: Mapping[tuple[str, str], str] = {
    ("claimed", "pooled"): "换人办理，等其他工作人员接单",
    ("resolved", "in_progress"): "没有办好，退回重新办理",
    ("review_pending", "in_progress"): "复核后重新办理",
    ("review_pending", "closed"): "复核后办结",
}

CLOSED_WHY: Mapping[str, str] = {
    "double_yes": "您确认：问题解决了，满意。",
    "fairly": "您确认：问题解决了，基本满意。",
    "unverified": "您确认：问题解决了，满意。",
    "unreachable": "多次打电话没有联系上您。如果没有解决，请拨打 12345。",
    "reviewed": "街道复核：已如实办理。如果您不同意，请拨打 12345。",
}

WITHDRAW_REASONS: Mapping[str, str] = {
    "solved": "已经自己解决了",
    "mistake": "填错了",
    "other": "不想反映了",
}


def step_of(state: str) -> int:
    """Which of STEPS a state belongs to."""
    return _STATES.get(state, _UNKNOWN)[0]


def headline(state: str) -> str:
    """Where the order stands, in a few words."""
    return _STATES.get(state, _UNKNOWN)[1]


def what_next(state: str) -> str:
    """What happens next, in a sentence; empty if there is nothing to say."""
    return _STATES.get(state, _UNKNOWN)[2]


def happened(from_state: str | None, to_state: str, *, by_resident: bool) -> str:
    """What a row of the history says happened."""
    if to_state == "resolved" and by_resident:
        return "您说问题已经解决"
    if from_state and (from_state, to_state) in _HAPPENED_BETWEEN:
        return _HAPPENED_BETWEEN[from_state, to_state]
    return _HAPPENED.get(to_state, headline(to_state))
