"""Why a board is not shown."""

from chassis.core.errors import Unavailable


class BoardsBehind(Unavailable):
    """After an upgrade, or a burst beyond measure: more was posted than the boards have followed or can at once."""

    code = "boards_behind"
    title, title_zh = "The boards are being brought up to date; try again", "排行榜正在更新，请稍后重试"
