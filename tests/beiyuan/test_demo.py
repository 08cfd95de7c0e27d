"""The demo town: whole, the same everywhere, and loaded once however often it is tried."""

import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from beiyuan.demo import town
from beiyuan.demo.load import load
from beiyuan.demo.organisations import COMMUNITIES, COMPANIES, DEPARTMENTS, LARGEST_COMPANY, SECTIONS
from beiyuan.demo.people import staff_of
from beiyuan.demo.show import describe
from beiyuan.demo.stories import Story
from beiyuan.installation import AdminSettings, DatabaseUrls
from beiyuan.names import SERVICES
from chassis.core.beijing import BEIJING
from chassis.core.schema import normalise_phone
from services.identity.people import actions as people_actions
from services.identity.people.queries import actor, person_by_phone
from services.identity.terms import Level, Role
from services.orders.deadlines import rules as deadlines
from services.orders.intake.taxonomy import load as taxonomy
from services.orders.places import actions as place_actions
from services.orders.terms import ClosedWhy, PlaceKind, State
from services.orders.workflow import actions as order_actions
from tests.town import TestDatabase, Town

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

# What is described --------------------------------------------------------------------------------------------------


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
    ids = [thing.id for kind in (town.PEOPLE, town.HOUSEHOLDS, town.PLACES) for thing in kind.values()]
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


LOADED_AT = {
    "a Monday at noon": datetime(2026, 11, 23, 12, 0, tzinfo=BEIJING),
    "a Monday just after midnight": datetime(2026, 11, 23, 0, 10, tzinfo=BEIJING),
    "a Friday evening": datetime(2026, 11, 20, 23, 50, tzinfo=BEIJING),
    "a Sunday": datetime(2026, 11, 22, 15, 0, tzinfo=BEIJING),
    "the National Day holiday": datetime(2026, 10, 5, 9, 0, tzinfo=BEIJING),
    "the first morning after the Spring Festival": datetime(2026, 2, 24, 8, 0, tzinfo=BEIJING),
    "a year whose holidays are not known": datetime(2031, 7, 2, 10, 0, tzinfo=BEIJING),
}


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


# What is loaded -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@contextmanager
def copied(template: TestDatabase) -> Iterator[TestDatabase]:
    """A database that begins as a copy of another one."""
    name = f"demo_{secrets.token_hex(6)}"
    with psycopg.connect(template.server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template.name}" STRATEGY file_copy')
        try:
            yield TestDatabase(name, template.server)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def loaded(migrated: TestDatabase, keys_dir: Path, home: Path) -> Iterator[TestDatabase]:
    """A database with the demo town in it, which nobody changes."""
    with copied(migrated) as database:
        assert load_into(database, keys_dir, home)
        yield database


@pytest.fixture
async def demo_town(loaded: TestDatabase, keys_dir: Path, home: Path) -> AsyncIterator[Town]:
    """The services on a copy of it."""
    with copied(loaded) as database:
        running = Town(database, keys_dir, home)
        try:
            for service in SERVICES:
                await running.start(service)
            yield running
        finally:
            await running.close()


def load_into(database: TestDatabase, keys_dir: Path, home: Path) -> bool:
    settings = AdminSettings(home=home, keys_dir=keys_dir)
    return load(settings, DatabaseUrls(database.admin_url, database.service_urls))


def counts(database: TestDatabase) -> dict[str, int]:
    """How many rows each table of the identity and orders services has; of photos, those that belong to a case."""
    tables = column(
        database, "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('identity', 'orders')"
    )
    conditions = {"orders.photo": "WHERE order_id IS NOT NULL"}
    return {table: column(database, f"SELECT count(*) FROM {table} {conditions.get(table, '')}")[0] for table in tables}


def column(database: TestDatabase, query: str) -> list[Any]:
    """The one column that the query selects."""
    with psycopg.connect(database.admin_url) as connection:
        return [row[0] for row in connection.execute(query)]


def test_all_of_the_town_is_there(loaded: TestDatabase) -> None:
    there = counts(loaded)
    assert there["identity.organisation"] == there["orders.unit"] == len(town.ORGANISATIONS)
    assert there["identity.person"] == len(town.PEOPLE)
    assert there["identity.household"] == len(town.HOUSEHOLDS)
    assert there["identity.post"] == sum(len(who.roles) for who in town.STAFF.values())
    assert there["orders.place"] == there["orders.qr_code"] == len(town.PLACES)
    assert there["orders.work_order"] == there["orders.report"] == len(town.STORIES)


def test_loading_it_again_adds_nothing(loaded: TestDatabase, keys_dir: Path, home: Path) -> None:
    before = counts(loaded)
    assert not load_into(loaded, keys_dir, home)
    assert counts(loaded) == before


def test_a_load_that_was_cut_off_anywhere_is_completed_by_the_next(
    loaded: TestDatabase, database: TestDatabase, keys_dir: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CutOff(Exception):
        pass

    def cut_off_after(count: int, module: object, name: str) -> None:
        original = getattr(module, name)
        calls = iter(range(count))

        async def limited(*args: object, **kwargs: object) -> object:
            if next(calls, None) is None:
                raise CutOff
            return await original(*args, **kwargs)

        monkeypatch.setattr(module, name, limited)

    for count, module, name in (
        (20, people_actions, "record_person"),
        (30, place_actions, "issue_qr_code"),
        (12, order_actions, "claim_order"),
    ):
        cut_off_after(count, module, name)
        with pytest.raises(CutOff):
            load_into(database, keys_dir, home)
        monkeypatch.undo()
    assert 0 < len(column(database, "SELECT id FROM orders.work_order")) < len(town.STORIES)

    assert load_into(database, keys_dir, home)
    assert counts(database) == counts(loaded)


def test_every_state_that_an_order_can_be_in_is_to_be_seen(loaded: TestDatabase) -> None:
    assert set(column(loaded, "SELECT state FROM orders.work_order")) == {state.value for state in State}


def test_orders_have_been_closed_for_every_reason(loaded: TestDatabase) -> None:
    closed = column(loaded, "SELECT closed_why FROM orders.work_order WHERE closed_why IS NOT NULL")
    assert set(closed) == {why.value for why in ClosedWhy}


def test_orders_are_spread_over_communities_and_all_four_levels(loaded: TestDatabase) -> None:
    assert len(set(column(loaded, "SELECT community_id FROM orders.work_order"))) >= 10
    assert set(column(loaded, "SELECT level FROM orders.work_order")) == {level.value for level in Level}


def test_the_newest_order_comes_last_in_the_order_of_ids(loaded: TestDatabase) -> None:
    times = column(loaded, "SELECT created_at FROM orders.work_order ORDER BY id")
    assert times == sorted(times)


def test_nobodys_name_or_phone_lies_open_in_the_database(loaded: TestDatabase) -> None:
    private = [person.name for person in town.PEOPLE.values()]
    private += [person.phone for person in town.PEOPLE.values() if person.phone]
    private += [value.encode().hex() for value in private]  # as COPY writes bytes
    with psycopg.connect(loaded.admin_url) as connection:
        for schema in ("identity", "orders"):
            for (table,) in connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]
            ).fetchall():
                copy = f"COPY {schema}.{table} TO STDOUT"
                with connection.cursor().copy(copy) as rows:
                    text = b"".join(bytes(row) for row in rows).decode()
                assert not [value for value in private if value in text], table


async def test_everybody_listed_is_found_by_their_phone_with_the_roles_listed(demo_town: Town) -> None:
    runtime = demo_town.runtime("identity")
    roles: dict[str, set[str]] = {}
    for account in describe()["accounts"]:
        roles.setdefault(account["phone"], set()).add(account["role"])
    async with runtime.db.transaction() as session:
        for phone, expected in roles.items():
            person = await person_by_phone(session, runtime.vault, phone)
            assert person is not None
            assert (await actor(session, person.id)).roles == expected


async def test_the_past_earns_its_points_once_the_services_run_and_no_message_is_refused(demo_town: Town) -> None:
    units = column(demo_town.database, "SELECT (unit.*)::text FROM orders.unit ORDER BY id")
    await demo_town.deliver()
    assert column(demo_town.database, "SELECT (unit.*)::text FROM orders.unit ORDER BY id") == units
    for service in ("identity", "orders"):
        assert set(column(demo_town.database, f"SELECT state FROM {service}.delivery")) == {"sent"}
    earned = dict(
        zip(
            column(demo_town.database, "SELECT owner_id FROM points.account WHERE ledger = 'staff' ORDER BY id"),
            column(demo_town.database, "SELECT balance FROM points.account WHERE ledger = 'staff' ORDER BY id"),
            strict=True,
        )
    )
    # Handed over: the first claim counts no more; who took it on has all 35. The first has claimed another (2), and
    # one that was closed as fairly satisfactory, met on site (15).
    assert earned[town.PEOPLE["wangshu/handler/3"].id] == 35
    assert earned[town.PEOPLE["wangshu/handler/4"].id] == 17
