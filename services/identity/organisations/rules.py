"""Decisions about organisations and posts."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from services.identity.organisations.errors import OrganisationFixed, OrganisationMisplaced, PostElsewhere
from services.identity.organisations.tables import Organisation
from services.identity.organisations.terms import NewPost
from services.identity.terms import Level, OrganisationKind

LEVEL_OF_KIND = {
    OrganisationKind.PROPERTY_COMPANY: Level.PROPERTY,
    OrganisationKind.COMMUNITY: Level.COMMUNITY,
    OrganisationKind.SUBDISTRICT: Level.SUBDISTRICT,
    OrganisationKind.SECTION: Level.SUBDISTRICT,
    OrganisationKind.DISTRICT: Level.DISTRICT,
    OrganisationKind.DEPARTMENT: Level.DISTRICT,
}
"""Kinds whose level is in their nature; a merchant or a social organisation may stand at any."""

_HEADS = {OrganisationKind.SUBDISTRICT, OrganisationKind.DISTRICT}


def check_place(kind: OrganisationKind, level: Level, parent: Organisation | None) -> None:
    """Raises OrganisationMisplaced unless the kind fits the level and the parent stands above.

    Above is a higher level, or the office that heads the same level (街道办事处 over its sections 科室).
    As every step up is one of these, no organisation can be above itself.
    """
    if LEVEL_OF_KIND.get(kind, level) is not level:
        raise OrganisationMisplaced(f"A {kind} stands at the level {LEVEL_OF_KIND[kind]}, not {level}.")
    if parent is None:
        return
    heads = parent.kind in _HEADS and kind not in _HEADS and parent.level == level
    if not heads and Level(parent.level).rank <= level.rank:
        raise OrganisationMisplaced(f"A {parent.kind} at the level {parent.level} is not above a {kind} at {level}.")


def check_same_nature(organisation: Organisation, kind: OrganisationKind, level: Level) -> None:
    """Raises OrganisationFixed if a recorded organisation would become something else."""
    if (organisation.kind, organisation.level) != (kind, level):
        raise OrganisationFixed


def remit_of(codes: Iterable[str]) -> list[str]:
    """A remit in the one order in which it is stored and told."""
    return sorted(set(codes))


def check_one_organisation(posts: Iterable[NewPost], present: Mapping[UUID, UUID]) -> None:
    """Raises PostElsewhere if somebody has, by `present` or among the posts, a post in another organisation too."""
    known = dict(present)
    for post in posts:
        if known.setdefault(post.person_id, post.organisation_id) != post.organisation_id:
            raise PostElsewhere
