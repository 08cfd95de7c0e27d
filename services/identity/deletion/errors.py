"""What can stand in the way of deleting an account."""

from chassis.core.errors import Conflict, FieldError


class HasPost(Conflict):
    """Whoever holds a post answers for what is done in it: the organisation takes it away first."""

    code = "has_post"
    title, title_zh = "You hold a post; it must be given up first", "您仍担任职务，请先卸任"


class ChildrenWouldBeErased(Conflict):
    """Children who would be left without a guardian are erased too, and that must be said."""

    code = "children_would_be_erased"
    title, title_zh = (
        "Children whose last guardian you are would be erased too",
        "以您为最后监护人的孩子的信息也将被删除",
    )

    def __init__(self) -> None:
        super().__init__(
            "Say so, or name another guardian in your household first.",
            fields=[FieldError("body.with_children", "must be true to erase them too")],
        )
