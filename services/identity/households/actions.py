"""Changes of households: each ends by telling the other services what the household now is."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import clock, ids
from chassis.core.addresses import network_of
from chassis.core.crypto import Vault
from chassis.core.messages import publish
from services.identity.guardianship import queries as guardianship
from services.identity.households import queries, rules
from services.identity.households.errors import AlreadyMember, InvitationInvalid
from services.identity.households.messages import HouseholdChanged
from services.identity.households.rules import Family
from services.identity.households.schemas import InvitationOut
from services.identity.households.tables import Invitation, JoinTries
from services.identity.households.terms import INVITATION_LIFETIME, KEEP_INVITATIONS
from services.identity.people import queries as people
from services.identity.people.tables import Household, Membership

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


async def announce(session: AsyncSession, household: Household, at: datetime) -> None:
    """Count the locked household's version up and publish what it now is."""
    household.version += 1
    household.changed_at = max(at, household.changed_at)
    await session.flush()
    await publish(session, HouseholdChanged.of(await queries.snapshot(session, household.id)))


async def invite(session: AsyncSession, vault: Vault, person_id: UUID) -> InvitationOut:
    """A code by which one person may join the adult's household within three days.

    Raises PersonGone, NoHousehold, NotAdult, TooManyInvitations, TooManyInvitationsToday.
    """
    at = clock.now()
    family = await queries.lock_own_family(session, person_id)
    rules.check_adult(family, person_id)
    household_id = family.household.id
    rules.check_may_invite(*await queries.count_invitations(session, household_id, open_at=at, since=at - _DAY))
    code = rules.new_code()
    invitation = Invitation(
        id=ids.new_id(),
        household_id=household_id,
        code_hash=_code_hash(vault, code),
        created_by=person_id,
        created_at=at,
        expires_at=at + INVITATION_LIFETIME,
    )
    session.add(invitation)
    return InvitationOut(id=invitation.id, code=code, expires_at=invitation.expires_at)


async def revoke_invitation(session: AsyncSession, person_id: UUID, invitation_id: UUID) -> None:
    """Nobody joins by it any more; of one that was used or is past, nothing changes.

    Raises PersonGone, NoHousehold, NotAdult, InvitationNotFound.
    """
    at = clock.now()
    family = await queries.lock_own_family(session, person_id)
    rules.check_adult(family, person_id)
    invitation = await queries.invitation(session, invitation_id, family.household.id)
    if rules.is_open(invitation, at):
        invitation.ended_at = at


async def join(
    session: AsyncSession, vault: Vault, person_id: UUID, code: str, *, address: str, limits: rules.JoinLimits
) -> None:
    """Spend an invitation code: from now on the adult belongs to the household that it names.

    The only adult of a household brings everybody along, and the household is dissolved into the other, which takes
    over its points; one of several brings the children whose only guardian they are.

    Raises TooManyWrongInvitations; InvitationInvalid, after which the try stays counted; PersonGone, NotAdult,
    AlreadyMember, HouseholdFull, Unavailable.
    """
    at = clock.now()
    await people.present_person(session, person_id)
    tries = await _lock_tries(session, vault, person_id, address, limits, at)
    invitation = await queries.invitation_by_code(session, _code_hash(vault, code))
    if invitation is None:
        raise _wrong(tries)
    own, target = await _lock_both(session, person_id, invitation.household_id)
    invitation = await queries.invitation_by_code(session, _code_hash(vault, code))
    if own and own.household.id in {target.household.id, target.household.dissolved_into}:
        raise AlreadyMember
    if invitation is None or not rules.is_open(invitation, at):
        raise _wrong(tries)
    if own:
        rules.check_adult(own, person_id)
    movers = rules.who_moves(own, person_id) if own else frozenset({person_id})
    rules.check_room(target, len(movers))
    invitation.used_at, invitation.used_by = at, person_id
    if own is None:
        session.add(Membership(person_id=person_id, household_id=target.household.id, joined_at=at))
    elif len(movers) == len(own.people):
        await _dissolve(session, own, target.household.id, at)
    else:
        await give_up(session, own, person_id, movers, at)
        await _move(session, movers, target.household.id, at)
    await announce(session, target.household, at)
    if own:
        await announce(session, own.household, at)


async def leave(session: AsyncSession, person_id: UUID) -> None:
    """Found a household with the children whose only guardian one is; points stay with the family that is left.

    Raises PersonGone, NoHousehold, NotAdult, LivesAlone, LastAdult, Unavailable.
    """
    at = clock.now()
    family = await queries.lock_own_family(session, person_id)
    rules.check_adult(family, person_id)
    rules.check_may_leave(family, person_id)
    going = rules.who_moves(family, person_id)
    await give_up(session, family, person_id, going, at)
    await _found(session, family, going, at)


async def put_out(session: AsyncSession, actor_id: UUID, person_id: UUID) -> None:
    """Whoever is not welcome goes as if they left, with the children whose first guardian they are.

    Raises PersonGone, NoHousehold, NotAdult, MemberNotFound, NotEarlier, GuardianStays, Unavailable.
    """
    at = clock.now()
    family = await queries.lock_own_family(session, actor_id)
    rules.check_adult(family, actor_id)
    guardianships = await guardianship.guardianships_of(session, family.people)
    joined = {member.person_id: member.joined_at for member in await people.memberships(session, family.people)}
    going = rules.who_is_put_out(family, guardianships, joined, person_id, by=actor_id)
    await give_up(session, family, person_id, going, at)
    await _found(session, family, going, at)


async def _found(session: AsyncSession, family: Family, movers: Iterable[UUID], at: datetime) -> None:
    """A new household of these members of another."""
    founded = Household(id=ids.new_id(), recorded_at=at, changed_at=at, version=0)
    session.add(founded)
    await session.flush()
    await _move(session, movers, founded.id, at)
    await announce(session, founded, at)
    await announce(session, family.household, at)


async def give_up(
    session: AsyncSession, family: Family, person_id: UUID, going: AbstractSet[UUID], at: datetime
) -> None:
    """Those who go are no guardians of those who stay, nor these of them; the person's invitations are good no more.

    What was consented to stays in force: every child has a guardian where it is, who may withdraw it.
    """
    for guardianship_ in await guardianship.guardianships_of(session, family.people):
        if (guardianship_.child_id in going) != (guardianship_.guardian_id in going):
            guardianship_.ended_at = at
    await _end_invitations(session, family, at, created_by=person_id)


async def _end_invitations(
    session: AsyncSession, family: Family, at: datetime, *, created_by: UUID | None = None
) -> None:
    for invitation in await queries.open_invitations(session, family.household.id, at, created_by=created_by):
        invitation.ended_at = at


async def sweep(session: AsyncSession, at: datetime) -> None:
    """Forget what no decision after `at` can need: counts of past hours, and invitations that are long past."""
    await queries.delete_tries(session, of_hours_until=at - _HOUR)
    await queries.delete_invitations(session, expired_by=at - KEEP_INVITATIONS)


async def _lock_both(session: AsyncSession, person_id: UUID, target_id: UUID) -> tuple[Family | None, Family]:
    """The person's own household, if they have one, and the other: locked together, so in one order for everybody."""
    own_id = await queries.household_of(session, person_id)
    wanted = {target_id} | ({own_id} if own_id else set())
    families = await queries.lock_families(session, wanted, with_people=[person_id])
    if await queries.household_of(session, person_id) != own_id:
        raise queries.moved()
    return families[own_id] if own_id else None, families[target_id]


async def _dissolve(session: AsyncSession, family: Family, into: UUID, at: datetime) -> None:
    """Everybody moves; guardians and children remain what they are to one another."""
    await _move(session, family.people, into, at)
    await _end_invitations(session, family, at)
    family.household.dissolved_into = into


async def _move(session: AsyncSession, person_ids: Iterable[UUID], into: UUID, at: datetime) -> None:
    await session.execute(
        update(Membership)
        .where(Membership.person_id.in_(list(person_ids)))
        .values(household_id=into, joined_at=at)
        .execution_options(synchronize_session=False)
    )


async def _lock_tries(
    session: AsyncSession, vault: Vault, person_id: UUID, address: str, limits: rules.JoinLimits, at: datetime
) -> list[JoinTries]:
    """The counts of the address and of the person, in this order for everybody. Raises TooManyWrongInvitations."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    counted = (
        (f"address {network_of(address)}", limits.per_address),
        (f"person {person_id}", limits.per_person),
    )
    tries = []
    for subject, limit in counted:
        row = await queries.lock_tries(session, vault.fingerprint(subject, "join_tries.subject"), hour)
        rules.check_may_try(row, limit, at)
        tries.append(row)
    return tries


def _wrong(tries: list[JoinTries]) -> InvitationInvalid:
    for row in tries:
        row.wrong += 1
    return InvitationInvalid()


def _code_hash(vault: Vault, code: str) -> bytes:
    return vault.fingerprint(code, "invitation.code")
