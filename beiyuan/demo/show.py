"""Who lives and works in the demo town, and what is in it, as plain data for people and programs."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from beiyuan.demo import town
from beiyuan.demo.merchant_keys import MerchantKey
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


def describe(keys: Mapping[str, MerchantKey] | None = None) -> dict[str, list[dict[str, Any]]]:
    """The accounts, one row a person and role; the QR codes; the households; the merchants, with their `keys` if given;
    the activities; the rewards. Every phone signs in with the demo code.

    A resident's row has neither level nor organisation, since being a resident is no post. A code's `property_company`
    is null where nobody manages the place. Of a household's members children have no `phone` and are `guardian_of`
    nobody; `consented` says whether a guardian agreed to their taking part in activities, and is null for adults. The
    activities' times are not told: they depend on when the town is loaded, as does whether an open one has begun.
    """
    accounts = [*_staff(), *_residents()]
    hats = Counter(account["phone"] for account in accounts)
    accounts.sort(key=lambda a: (_ROLES.index(a["role"]), _LEVELS.index(a["level"]), hats[a["phone"]]))
    return {
        "accounts": accounts,
        "qr_codes": _qr_codes(),
        "households": _households(),
        "merchants": _merchants(keys),
        "activities": _activities(),
        "rewards": _rewards(),
    }


def cell(value: Any) -> str:
    """A value of a row as it stands in a table: each item of a list on a line, a member as name and phone."""
    match value:
        case [*items]:
            return "\n".join(cell(item) for item in items)
        case {"name": name, "phone": phone}:
            return f"{name} {phone or '(child)'}"
        case _:
            return value if isinstance(value, str) else json.dumps(value)


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
            "members": [_member(household, member) for member in household.members],
        }
        for household in town.HOUSEHOLDS.values()
    ]


def _member(household: town.Household, member: town.Person) -> dict[str, Any]:
    wards = household.children if member in household.guardians else ()
    return {
        "id": str(member.id),
        "name": member.name,
        "child": member.child,
        "phone": member.phone,
        "guardian_of": [str(child.id) for child in wards],
        "consented": household.consented if member.child else None,
    }


def _merchants(keys: Mapping[str, MerchantKey] | None) -> list[dict[str, Any]]:
    rows = []
    for merchant in town.MERCHANTS.values():
        row: dict[str, Any] = {"mchid": merchant.mchid, "name": merchant.name}
        if keys:
            key = keys[merchant.mchid]
            row |= {"serial_no": key.serial_no, "sandbox_serial_no": key.sandbox_serial_no}
            row |= {"private_key": key.private_key}
        clerks = [clerk.person for clerk in town.CLERKS if clerk.merchant == merchant]
        row |= {"clerks": [{"name": person.name, "phone": person.phone} for person in clerks]}
        rows.append(row | {"store_ids": list(merchant.stores)})
    return rows


def _activities() -> list[dict[str, Any]]:
    return [
        {
            "id": str(activity.id),
            "title": activity.title,
            "category": activity.category.value,
            "organisation": activity.organised_by.organisation.name,
            "state": activity.state.value,
        }
        for activity in town.ACTIVITIES.values()
    ]


def _rewards() -> list[dict[str, Any]]:
    return [
        {
            "id": str(reward.id),
            "title": reward.title,
            "cost": reward.cost,
            "merchants": [merchant.mchid for merchant in reward.merchants],
        }
        for reward in town.REWARDS.values()
    ]
