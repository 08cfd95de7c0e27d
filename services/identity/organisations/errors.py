"""What can go wrong with organisations and posts."""

from chassis.core.errors import Conflict, Invalid, NotFound


class OrganisationNotFound(NotFound):
    code = "organisation_not_found"
    title, title_zh = "There is no such organisation", "没有这个单位"


class OrganisationMisplaced(Invalid):
    """Its kind does not fit its level, or its parent does not stand above it."""

    code = "organisation_misplaced"
    title, title_zh = "The organisation does not fit there", "单位的层级或上级不符"


class OrganisationFixed(Conflict):
    """An organisation stays what it is: its kind and level never change."""

    code = "organisation_fixed"
    title, title_zh = "Kind and level of an organisation cannot change", "单位的类别和层级不能变更"


class PostElsewhere(Conflict):
    """A person's posts are all in one organisation, since an access token names one."""

    code = "post_elsewhere"
    title, title_zh = "This person has a post in another organisation", "此人已在其他单位任职"
