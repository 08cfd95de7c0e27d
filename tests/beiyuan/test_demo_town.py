"""The demo town as it is described: whole, and the same everywhere."""

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from beiyuan.demo import town
from beiyuan.demo.activities import party
from beiyuan.demo.load import FOUNDED
from beiyuan.demo.organisations import COMMUNITIES, COMPANIES, DEPARTMENTS, LARGEST_COMPANY, SECTIONS
from beiyuan.demo.people import staff_of
from beiyuan.demo.show import describe
from beiyuan.demo.stories import Story
from chassis.core.beijing import BEIJING, day_of
from chassis.core.schema import normalise_phone
from services.events.terms import ActivityState, Category
from services.identity.terms import Level, Role
from services.orders.deadlines import rules as deadlines
from services.orders.intake.taxonomy import load as taxonomy
from services.orders.terms import PlaceKind

ROLES = [
    "handler",
    "dispatcher",
    "supervisor",
    "callback_agent",
    "patrol",
    "organiser",
    "social_worker",
    "resident",
    "merchant",
    "administrator",
    "auditor",
]
LOADED_AT = {
    "a Monday at noon": datetime(2026, 11, 23, 12, 0, tzinfo=BEIJING),
    "a Monday just after midnight": datetime(2026, 11, 23, 0, 10, tzinfo=BEIJING),
    "a Friday evening": datetime(2026, 11, 20, 23, 50, tzinfo=BEIJING),
    "a Sunday": datetime(2026, 11, 22, 15, 0, tzinfo=BEIJING),
    "the National Day holiday": datetime(2026, 10, 5, 9, 0, tzinfo=BEIJING),
    "the first morning after the Spring Festival": datetime(2026, 2, 24, 8, 0, tzinfo=BEIJING),
    "a year whose holidays are not known": datetime(2031, 7, 2, 10, 0, tzinfo=BEIJING),
}


def test_every_role_has_somebody_to_sign_in_as() -> None:
    accounts = describe()["accounts"]
    assert list(dict.fromkeys(account["role"] for account in accounts)) == ROLES
    assert all(account["phone"] and account["name"] for account in accounts)


def test_each_of_the_four_levels_has_handlers_and_a_dispatcher() -> None:
    for level in Level:
        present = {account["role"] for account in describe()["accounts"] if account["level"] == level}
        assert present >= {"handler", "dispatcher"}, level


def test_nobody_could_be_rung_up_by_a_demo_number() -> None:
    phones = [person.phone for person in town.PEOPLE.values() if person.phone]
    assert len(phones) == len(set(phones)) > 250
    assert all(normalise_phone(phone) == phone and phone.startswith("100") for phone in phones)


def test_ids_and_codes_are_nobody_elses() -> None:
    kinds = (town.PEOPLE, town.HOUSEHOLDS, town.PLACES, town.ACTIVITIES, town.REWARDS)
    ids = [thing.id for kind in kinds for thing in kind.values()]
    ids += [organisation.id for organisation in town.ORGANISATIONS]
    assert len(ids) == len(set(ids))
    codes = [place.qr_code for place in town.PLACES.values()]
    assert len(codes) == len(set(codes))


def test_the_town_is_the_same_in_every_process() -> None:
    program = "import json; from beiyuan.demo.show import describe; print(json.dumps(describe()))"
    told = [
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert json.loads(told[0]) == json.loads(told[1]) == describe()


def test_there_are_thirteen_communities_and_thirty_five_lanes() -> None:
    codes = describe()["qr_codes"]
    assert len({code["community"] for code in codes}) == len(COMMUNITIES) == 13
    kinds = Counter(code["kind"] for code in codes)
    assert set(kinds) == {kind.value for kind in PlaceKind}
    assert kinds["lane"] == 35


def test_there_are_forty_families_with_children_and_people_living_alone() -> None:
    households = describe()["households"]
    families = [household for household in households if any(member["child"] for member in household["members"])]
    assert len(families) == 40
    assert any(len(household["members"]) == 1 for household in households)
    for household in households:
        assert not household["members"][0]["child"]
        assert all((member["phone"] is None) == member["child"] for member in household["members"])
    members = [member["id"] for household in households for member in household["members"]]
    assert len(members) == len(set(members))


def test_some_staff_live_in_the_town() -> None:
    staff = {who.person for who in town.STAFF.values()}
    assert sum(member in staff for household in town.HOUSEHOLDS.values() for member in household.members) >= 5


def test_fifty_can_race_for_one_order_of_the_largest_company() -> None:
    handlers = [
        a for a in describe()["accounts"] if (a["role"], a["organisation"]) == ("handler", LARGEST_COMPANY.name)
    ]
    assert len({handler["phone"] for handler in handlers}) >= 50
    assert any(code["property_company"] == LARGEST_COMPANY.name for code in describe()["qr_codes"])


def test_no_unit_lacks_people() -> None:
    for company in COMPANIES.values():
        assert len(staff_of(company, Role.HANDLER)) >= 3, company.name
    for unit in (*COMMUNITIES.values(), *SECTIONS, *DEPARTMENTS):
        assert len(staff_of(unit, Role.HANDLER)) >= 2, unit.name


def test_one_estate_at_least_has_no_property_company_and_some_companies_have_several_estates() -> None:
    estates = [code for code in describe()["qr_codes"] if code["kind"] == "estate"]
    served = Counter(estate["property_company"] for estate in estates)
    assert served.pop(None) >= 1
    assert max(served.values()) >= 2


def test_each_item_of_the_taxonomy_is_the_business_of_one_section_and_one_department() -> None:
    items = sorted(set(taxonomy().item_codes.values()))
    for offices in (SECTIONS, DEPARTMENTS):
        assert sorted(code for office in offices for code in office.remit) == items


def test_people_report_what_is_near_their_home() -> None:
    homes = {member: household.community for household in town.HOUSEHOLDS.values() for member in household.members}
    near = []
    for story in town.STORIES.values():
        who = town.PEOPLE.get((story.on_behalf_of or story.reporter or "").removeprefix("phone:"))
        if who in homes:
            near.append(homes[who] == town.PLACES[story.place].community)
    assert len(near) > 10
    assert all(near)


@pytest.mark.parametrize("now", LOADED_AT.values(), ids=LOADED_AT)
def test_no_open_order_begins_its_life_overdue(now: datetime) -> None:
    for story in town.STORIES.values():
        times = [story.at(now), *(step.at(now) for step in story.steps)]
        assert times == sorted(set(times)), story.key
        assert times[-1] < now, story.key
        assert all(deadline > now for deadline in running_deadlines(story, times)), story.key


def running_deadlines(story: Story, times: list[datetime]) -> list[datetime]:
    """The deadlines of the state that the story ends in."""
    subitem = taxonomy().subitems[story.subitem]
    urgent = subitem.urgent
    promised = deadlines.deadlines(times[0], sla_hours=subitem.sla_hours, urgent=urgent)
    match [step.act for step in story.steps]:
        case []:
            return [promised.contact_by, promised.due_at, deadlines.claim_by(times[0], urgent=urgent)]
        case [*_, "claim"]:
            return [promised.contact_by, promised.due_at]
        case [*_, "meet" | "meet by phone" | "start"]:
            return [promised.due_at]
        case [*_, "resolve" | "settle"]:
            return [deadlines.callback_by(times[-1], urgent=urgent)]
    return []


# Families, merchants, rewards, activities -----------------------------------------------------------------------------


@pytest.mark.parametrize("now", LOADED_AT.values(), ids=LOADED_AT)
def test_children_are_under_fourteen_whenever_the_town_is_loaded(now: datetime) -> None:
    today = day_of(now)
    for person in town.PEOPLE.values():
        born = person.born_on(today)
        assert (born is not None) == person.child
        assert born is None or born.replace(year=born.year + 14, day=1) > today > born, person.key
    ages = {today.year - born.year for person in town.PEOPLE.values() if (born := person.born_on(today))}
    assert len(ages) > 5


def test_guardians_are_the_first_two_adults_and_no_grandparent() -> None:
    members = [member for household in describe()["households"] for member in household["members"]]
    children = {member["id"] for member in members if member["child"]}
    assert {ward for member in members for ward in member["guardian_of"]} == children
    for household in describe()["households"]:
        wards = [member["id"] for member in household["members"] if member["child"]]
        for number, member in enumerate(household["members"]):
            is_guardian = number < 2 and not member["child"]
            assert member["guardian_of"] == (wards if is_guardian else [])


def test_nearly_all_children_may_take_part_and_a_few_families_can_still_be_asked() -> None:
    consents = [{m["consented"] for m in household["members"] if m["child"]} for household in describe()["households"]]
    assert 2 <= consents.count({False}) <= 5
    assert consents.count({True}) > 30
    members = [member for household in describe()["households"] for member in household["members"]]
    assert all((member["consented"] is None) == (not member["child"]) for member in members)


def test_there_are_six_merchants_with_their_stores() -> None:
    merchants = describe()["merchants"]
    assert len({merchant["mchid"] for merchant in merchants}) == 6
    assert all(merchant["mchid"].isdecimal() and len(merchant["mchid"]) == 10 for merchant in merchants)
    stores = [store for merchant in merchants for store in merchant["store_ids"]]
    assert len(stores) == len(set(stores))
    assert {len(merchant["store_ids"]) for merchant in merchants} == {1, 2, 3}
    assert all("private_key" not in merchant for merchant in merchants), "keys are told only to who asks for them"


def test_rewards_are_of_each_kind_and_merchants_honour_them() -> None:
    costs = [reward["cost"] for reward in describe()["rewards"]]
    assert 10 <= min(costs) <= 20
    assert max(costs) > 200
    assert {reward.kind for reward in town.REWARDS.values()} == {"goods", "service", "place", "honour"}
    merchants = {merchant["mchid"] for merchant in describe()["merchants"]}
    assert {mchid for reward in describe()["rewards"] for mchid in reward["merchants"]} == merchants
    assert all(reward["merchants"] for reward in describe()["rewards"])
    assert all(reward.payable_fen <= reward.face_fen for reward in town.REWARDS.values())


def test_there_are_activities_of_all_eight_categories_for_everybody_to_see() -> None:
    seen = {item["category"] for item in describe()["activities"] if item["state"] not in ("draft", "cancelled")}
    assert seen == {category.value for category in Category}


def test_there_is_an_activity_with_seats_one_full_and_one_with_a_waitlist() -> None:
    seats = {
        activity.capacity - sum(len(party(household)) for household in activity.households)
        for activity in town.ACTIVITIES.values()
        if activity.state is ActivityState.OPEN
    }
    assert {(seats > 0) - (seats < 0) for seats in seats} == {1, 0, -1}


@pytest.mark.parametrize("now", LOADED_AT.values(), ids=LOADED_AT)
def test_what_is_open_lies_ahead_and_what_is_settled_in_the_past(now: datetime) -> None:
    over = {ActivityState.ENDED, ActivityState.SETTLED, ActivityState.CANCELLED}
    for activity in town.ACTIVITIES.values():
        starts_at, ends_at = activity.starts(now), activity.ends(now)
        assert now - FOUNDED < starts_at < ends_at, activity.key
        assert ends_at < now if activity.state in over else starts_at > now, activity.key
    starts = [activity.starts(now) for activity in town.ACTIVITIES.values() if activity.state is ActivityState.OPEN]
    assert min(starts) - now < timedelta(minutes=30), "one can check in at once"
    assert sorted(starts)[1] - now > timedelta(days=1)


def test_organisers_are_those_of_communities_and_social_organisations() -> None:
    for activity in town.ACTIVITIES.values():
        assert Role.ORGANISER in activity.organised_by.roles, activity.key


def test_every_family_has_taken_part_in_what_is_settled() -> None:
    settled = [activity for activity in town.ACTIVITIES.values() if activity.state is ActivityState.SETTLED]
    came = {key for activity in settled for key in activity.families if key not in activity.absent}
    assert came >= {household.key for household in town.HOUSEHOLDS.values() if household.children}
