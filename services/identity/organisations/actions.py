"""Changes to organisations and posts."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, ids
from chassis.core.messages import publish
from services.identity.organisations import queries, rules
from services.identity.organisations.messages import OrganisationRecorded
from services.identity.organisations.tables import Organisation, Post
from services.identity.organisations.terms import NewPost
from services.identity.people import queries as people
from services.identity.terms import Level, OrganisationKind, Role


async def record_organisation(
    session: AsyncSession,
    organisation_id: UUID,
    *,
    name: str,
    kind: OrganisationKind,
    level: Level,
    parent_id: UUID | None = None,
    remit: Iterable[str] = (),
) -> Organisation:
    """An organisation under a given id; recorded again, name, parent and remit are brought up to date.

    The other services are told if anything changed. `remit` holds codes of the taxonomy's items. Raises
    OrganisationNotFound (of the parent), OrganisationMisplaced, OrganisationFixed.
    """
    at = clock.now()
    parent = await queries.organisation(session, parent_id) if parent_id else None
    rules.check_place(kind, level, parent)
    codes = rules.remit_of(remit)
    fresh = insert(Organisation).values(
        id=organisation_id,
        name=name,
        kind=kind,
        level=level,
        parent_id=parent_id,
        remit=codes,
        recorded_at=at,
        changed_at=at,
    )
    is_new = await session.scalar(fresh.on_conflict_do_nothing().returning(Organisation.id)) is not None
    organisation = await queries.lock_organisation(session, organisation_id)
    rules.check_same_nature(organisation, kind, level)
    if is_new or (organisation.name, organisation.parent_id, organisation.remit) != (name, parent_id, codes):
        organisation.name, organisation.parent_id, organisation.remit = name, parent_id, codes
        organisation.changed_at = at
        await session.flush()
        await publish(session, OrganisationRecorded.of(organisation))
    return organisation


async def give_post(session: AsyncSession, person_id: UUID, organisation_id: UUID, role: Role) -> None:
    """One post, as `give_posts` gives several. Raises PersonNotFound, OrganisationNotFound, PostElsewhere."""
    await give_posts(session, [NewPost(person_id, organisation_id, role)])


async def give_posts(session: AsyncSession, posts: Sequence[NewPost]) -> None:
    """Each person holds this role in this organisation; given again, nothing changes.

    Raises PersonNotFound, OrganisationNotFound, PostElsewhere.
    """
    at = clock.now()
    person_ids = {post.person_id for post in posts}
    await people.lock_people(session, person_ids)
    await people.check_active(session, person_ids)
    await queries.check_there(session, {post.organisation_id for post in posts})
    rules.check_one_organisation(posts, await queries.organisations_of(session, [post.person_id for post in posts]))
    rows = [{"id": ids.new_id(), "given_at": at, **asdict(post)} for post in posts]
    await session.execute(insert(Post).on_conflict_do_nothing(), rows)
