"""What is refused of what is told about households."""

from chassis.core.errors import Conflict


class DissolvedOtherwise(Conflict):
    """A household that joined another does not join a third, nor itself, nor come back: its points are moved."""

    code = "household_dissolved_otherwise"
    title, title_zh = "This household was dissolved otherwise before", "该家庭此前已并入其他家庭"
