"""The demo town's people: staff and their posts, families with children, persons living alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from beiyuan.demo import names
from beiyuan.demo.organisations import (
    CITY_CARE,
    COMMUNITIES,
    COMPANIES,
    DEPARTMENTS,
    DISTRICT,
    HOTLINE,
    LARGEST_COMPANY,
    MERCHANTS,
    ORGANISATIONS,
    SECTIONS,
    SOCIAL_ORGANISATIONS,
    SUBDISTRICT,
    Organisation,
)
from services.identity.terms import ConsentPurpose, Role

FAMILIES = 40
LIVING_ALONE = 8

_AGE_DAYS = (1500, 4700)
_WITHOUT_CONSENT = ("family-03", "family-18", "family-35")
"""Their guardians agreed to the children's records only, so that one can try giving the other consent."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody. Whoever has a phone can sign in; children have none."""

    key: str
    name: str
    phone: str | None
    child: bool = False

    @property
    def id(self) -> UUID:
        """The same in every installation."""
        return names.stable_id("person", self.key)

    def born_on(self, today: date) -> date | None:
        """A child's invented day of birth, four to nearly thirteen years before `today`; an adult's is not recorded."""
        return today - timedelta(days=names.number("age", self.key, *_AGE_DAYS)) if self.child else None


@dataclass(frozen=True, slots=True)
class Employee:
    """A person with their posts 岗位, all in one organisation."""

    person: Person
    organisation: Organisation
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class Household:
    """A family, or a person living alone."""

    key: str
    community: Organisation
    members: tuple[Person, ...]

    @property
    def id(self) -> UUID:
        """The same in every installation."""
        return names.stable_id("household", self.key)

    @property
    def adults(self) -> tuple[Person, ...]:
        """Those over fourteen, the first of whom speaks for the household here."""
        return tuple(member for member in self.members if not member.child)

    @property
    def children(self) -> tuple[Person, ...]:
        return tuple(member for member in self.members if member.child)

    @property
    def guardians(self) -> tuple[Person, ...]:
        """监护人 of the children: the first two adults. A grandparent, the third adult, is none."""
        return self.adults[:2] if self.children else ()

    @property
    def consents(self) -> tuple[ConsentPurpose, ...]:
        """What the first guardian consents to 监护人同意, for all the children."""
        everything = tuple(ConsentPurpose)
        return everything if self.key not in _WITHOUT_CONSENT else (ConsentPurpose.CHILD_RECORD,)

    @property
    def consented(self) -> bool:
        """Whether the children may take part in activities: nearly all may."""
        return bool(self.children) and ConsentPurpose.ACTIVITIES in self.consents


def _adult(key: str, *, family: str = "") -> Person:
    return Person(key, names.person_name(key, family=family), names.phone(key))


# Staff ----------------------------------------------------------------------------------------------------------------

_Establishment = tuple[tuple[tuple[Role, ...], int], ...]
"""编制: for each set of posts that one person holds, how many such persons."""

_COMPANY: _Establishment = (((Role.HANDLER,), 4), ((Role.DISPATCHER,), 1))
_LARGEST_COMPANY: _Establishment = (((Role.HANDLER,), 56), ((Role.DISPATCHER,), 2))
_COMMUNITY: _Establishment = (
    ((Role.HANDLER,), 2),
    ((Role.DISPATCHER,), 1),
    ((Role.PATROL,), 1),
    ((Role.ORGANISER, Role.SOCIAL_WORKER), 1),
)
_OFFICE: _Establishment = (((Role.HANDLER,), 2), ((Role.DISPATCHER,), 1))

_ESTABLISHMENTS: dict[str, _Establishment] = (
    {company.key: _COMPANY for company in COMPANIES.values()}
    | {community.key: _COMMUNITY for community in COMMUNITIES.values()}
    | {office.key: _OFFICE for office in (*SECTIONS, *DEPARTMENTS)}
    | {
        LARGEST_COMPANY.key: _LARGEST_COMPANY,
        CITY_CARE.key: (*_OFFICE, ((Role.PATROL,), 4)),
        HOTLINE.key: (
            ((Role.HANDLER,), 2),
            ((Role.DISPATCHER,), 2),
            ((Role.SUPERVISOR,), 2),
            ((Role.CALLBACK_AGENT,), 4),
            # One who may both handle and call back, though never the same order.
            ((Role.HANDLER, Role.CALLBACK_AGENT), 1),
        ),
        SUBDISTRICT.key: (
            ((Role.HANDLER,), 2),
            ((Role.DISPATCHER,), 1),
            ((Role.SUPERVISOR,), 1),
            ((Role.ADMINISTRATOR,), 2),
            ((Role.AUDITOR,), 1),
        ),
        DISTRICT.key: (
            ((Role.HANDLER,), 2),
            ((Role.DISPATCHER,), 1),
            ((Role.SUPERVISOR,), 1),
            ((Role.AUDITOR,), 1),
        ),
    }
    | {organisation.key: (((Role.ORGANISER,), 2), ((Role.SOCIAL_WORKER,), 2)) for organisation in SOCIAL_ORGANISATIONS}
    | {merchant.key: (((Role.MERCHANT,), 1),) for merchant in MERCHANTS.values()}
)


def _staff() -> Iterator[Employee]:
    for organisation in ORGANISATIONS:
        for roles, count in _ESTABLISHMENTS[organisation.key]:
            for number in range(1, count + 1):
                key = f"{organisation.key}/{'+'.join(roles)}/{number}"
                yield Employee(_adult(key), organisation, roles)


STAFF = {employee.person.key: employee for employee in _staff()}
"""By the person's key, such as `linhe/handler/1`."""


def staff_of(organisation: Organisation, role: Role) -> list[Employee]:
    """Who holds this post in this organisation; those who hold nothing else come first."""
    holders = [who for who in STAFF.values() if who.organisation == organisation and role in who.roles]
    return sorted(holders, key=lambda who: len(who.roles))


# Households -----------------------------------------------------------------------------------------------------------

_NEIGHBOURS = {
    6: "chengbowan/handler/2",
    10: "shiguang/handler/2",
    14: "linhe/handler/40",
    20: "hotline/callback_agent/4",
    27: "city-care/patrol/2",
    28: "linhe/dispatcher/2",
    33: "volunteers/organiser/2",
    41: "hotline/handler/2",
}
"""Staff who live in the town: the number of the household, and its first member."""

_SHAPES = ((2, 1), (2, 2), (1, 1), (3, 1), (2, 1))
"""Adults and children of a family; the third adult is a grandparent."""


def _households() -> Iterator[Household]:
    communities = list(COMMUNITIES.values())
    for number in range(1, FAMILIES + LIVING_ALONE + 1):
        is_family = number <= FAMILIES
        key = f"family-{number:02d}" if is_family else f"alone-{number - FAMILIES:02d}"
        adults, children = _SHAPES[number % len(_SHAPES)] if is_family else (1, 0)
        head = STAFF[_NEIGHBOURS[number]].person if number in _NEIGHBOURS else _adult(f"{key}/adult-1")
        family = head.name[0]
        members = [head, *(_adult(f"{key}/adult-{n}") for n in range(2, adults + 1))]
        for n in range(1, children + 1):
            child = f"{key}/child-{n}"
            members.append(Person(child, names.person_name(child, family=family), None, child=True))
        yield Household(key, communities[(number - 1) % len(communities)], tuple(members))


HOUSEHOLDS = {household.key: household for household in _households()}
"""By key, such as `family-07` or `alone-02`."""

PEOPLE = {who.person.key: who.person for who in STAFF.values()} | {
    member.key: member for household in HOUSEHOLDS.values() for member in household.members
}
"""Everybody, by key."""


def household_of(person: Person) -> Household | None:
    """Where they live, if they live in the town."""
    return next((household for household in HOUSEHOLDS.values() if person in household.members), None)
