"""The demo town's people as their access tokens describe them."""

from beiyuan.demo.people import Employee, Household, Person, household_of
from chassis.core.actor import Actor
from services.identity.terms import Role


def staff_actor(who: Employee) -> Actor:
    """A member of staff, who may live in the town too."""
    household = household_of(who.person)
    roles = {role.value for role in who.roles} | ({Role.RESIDENT.value} if household else set())
    return Actor(
        who.person.id,
        frozenset(roles),
        who.organisation.id,
        who.organisation.level,
        household.id if household else None,
    )


def resident_actor(person: Person, household: Household | None) -> Actor:
    """Somebody who lives in the town and holds no post, or whose post does not matter now."""
    return Actor(person.id, frozenset({Role.RESIDENT.value}), None, None, household.id if household else None)
