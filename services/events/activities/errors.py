"""What can go wrong with an activity."""

from chassis.core.errors import Conflict, Forbidden, NotFound


class ActivityNotFound(NotFound):
    """There is none, or the caller may not know of it."""

    code = "activity_not_found"
    title, title_zh = "There is no such activity", "没有这个活动"


class NotOrganiser(Forbidden):
    code = "not_organiser"
    title, title_zh = "This activity is another organisation's", "此活动由其他单位组织"


class WrongState(Conflict):
    code = "wrong_state"
    title, title_zh = "The activity's state does not allow this", "活动当前状态不允许此操作"


class ActivityOver(Conflict):
    code = "activity_over"
    title, title_zh = "The activity's time is over", "活动时间已过"
