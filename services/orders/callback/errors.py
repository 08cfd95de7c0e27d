"""What can go wrong with a call-back."""

from chassis.core.errors import Conflict, Forbidden


class AlreadyAnswered(Conflict):
    """A good answer was given by link and waits for its check by phone."""

    code = "already_answered"
    title, title_zh = "You have answered; we may call you to confirm", "您已评价，等待电话核实"


class OwnCallback(Forbidden):
    code = "own_callback"
    title, title_zh = (
        "Nobody answers the call-back on their own work or report",
        "不能回访本人承办、反映或录入的诉求",
    )
