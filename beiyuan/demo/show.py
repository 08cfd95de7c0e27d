"""Who lives and works in the demo town, and which QR codes hang on its walls, as plain data for people and programs."""

from collections import Counter
from typing import Any

from beiyuan.demo import town
from services.identity.terms import Level, Role

_ROLES = (
    Role.HANDLER,
    Role.DISPATCHER,
    Role.SUPERVISOR,
    Role.CALLBACK_AGENT,
    Role.PATROL,
    Role.ORGANISER,
    Role.SOCIAL_WORKER,
    Role.RESIDENT,
    Role.MERCHANT,
    Role.ADMINISTRATOR,
    Role.AUDITOR,
)
_LEVELS = (None, *(level.value for level in Level))
"""The order of the accounts: by role, then by level, lowest first; people of one role come before those of several."""


def describe() -> dict[str, list[dict[str, Any]]]:
    """The accounts, one row a person and role; the QR codes; the households. Every phone signs in with the demo code.

    A resident's row has neither level nor organisation, since being a resident is no post. A code's `property_company`
    is null where nobody manages the place; a household member's `phone` is null for children.
    """
    accounts = [*_staff(), *_residents()]
    hats = Counter(account["phone"] for account in accounts)
    accounts.sort(key=lambda a: (_ROLES.index(a["role"]), _LEVELS.index(a["level"]), hats[a["phone"]]))
    return {"accounts": accounts, "qr_codes": _qr_codes(), "households": _households()}


def _staff() -> list[dict[str, Any]]:
    return [
        _account(role, who.person, level=who.organisation.level.value, organisation=who.organisation.name)
        for who in town.STAFF.values()
        for role in who.roles
    ]


def _residents() -> list[dict[str, Any]]:
    return [
        _account(Role.RESIDENT, member, level=None, organisation=None)
        for household in town.HOUSEHOLDS.values()
        for member in household.members
        if member.phone
    ]


def _account(role: Role, person: town.Person, *, level: str | None, organisation: str | None) -> dict[str, Any]:
    return {
        "role": role.value,
        "name": person.name,
        "phone": person.phone,
        "level": level,
        "organisation": organisation,
    }


def _qr_codes() -> list[dict[str, Any]]:
    return [
        {
            "code": place.qr_code,
            "place": place.name,
            "kind": place.kind.value,
            "community": place.community.name,
            "property_company": place.company.name if place.company else None,
        }
        for place in town.PLACES.values()
    ]


def _households() -> list[dict[str, Any]]:
    return [
        {
            "id": str(household.id),
            "community": household.community.name,
            "members": [
                {"id": str(member.id), "name": member.name, "child": member.child, "phone": member.phone}
                for member in household.members
            ],
        }
        for household in town.HOUSEHOLDS.values()
    ]
