"""Who belongs to a household, as identity tells it, and so may see its points."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import select

from chassis.core.ids import new_id
from services.points.households import actions
from services.points.households.queries import may_act_for
from services.points.households.schemas import HouseholdChanged
from services.points.households.tables import Member
from services.points.ledger.terms import household_wallet
from tests.points.conftest import Points
from tests.points.facts import Attendance, Family
from tests.town import actor


async def read(points: Points, who: Any, household: UUID) -> tuple[list[str], int]:
    """The ledgers that somebody is shown as theirs, and the answer for a household's statement."""
    path = f"/api/points/accounts/{household_wallet(household).id}/entries"
    async with points.client(who) as client:
        accounts = await client.get("/api/points/accounts", params={"owner": "me"})
        return [item["ledger"] for item in accounts.json()["items"]], (await client.get(path)).status_code


async def test_who_has_left_no_longer_reads_the_familys_statement_with_an_old_token(points: Points) -> None:
    family = Family()
    stays, leaves = (actor("resident", household_id=family.id) for _ in range(2))
    await points.tell(Attendance(household_id=family.id).verified(60), family.changed(1, stays.id, leaves.id))
    assert await read(points, leaves, family.id) == (["civic"], 200)
    await points.tell(family.changed(2, stays.id))
    assert await read(points, leaves, family.id) == ([], 404)
    assert await read(points, stays, family.id) == (["civic"], 200)
    await points.tell(family.changed(3, stays.id, leaves.id))
    assert await read(points, leaves, family.id) == (["civic"], 200)


async def test_who_has_left_keeps_what_is_their_own(points: Points) -> None:
    family = Family()
    handler = actor("resident", "handler", household_id=family.id)
    auditor = actor("resident", "auditor", household_id=family.id)
    await points.tell(Attendance(household_id=family.id).verified(60), family.changed(1, new_id()))
    assert await read(points, handler, family.id) == (["staff"], 404)
    assert await read(points, auditor, family.id) == (["staff"], 200)


async def test_members_of_a_household_that_joined_another_read_the_new_one_whatever_their_token_says(
    points: Points,
) -> None:
    old, new, person, other = Family(), Family(), new_id(), new_id()
    await points.tell(
        old.changed(1, person, other), new.changed(1, new_id()), Attendance(household_id=old.id).verified(60)
    )
    await points.tell(new.changed(2, person), old.dissolved(2, new.id))
    for token in (old.id, new.id):
        who = actor("resident", id=person, household_id=token)
        assert await read(points, who, new.id) == (["civic"], 200)
        assert await read(points, who, old.id) == (["civic"], 200)  # its lines are the new one's history now
        assert (await points.account(who, "civic"))["balance"] == 12
    gone_elsewhere = actor("resident", id=other, household_id=old.id)
    assert await read(points, gone_elsewhere, new.id) == await read(points, gone_elsewhere, old.id) == ([], 404)


async def test_a_household_that_nothing_was_told_of_yet_is_taken_from_the_token(points: Points) -> None:
    who = actor("resident", household_id=new_id())
    assert who.household_id is not None
    assert await read(points, who, who.household_id) == (["civic"], 200)


async def test_the_newest_version_of_a_household_stands_and_replaces_all_its_members(points: Points) -> None:
    family, stays, left, came = Family(), new_id(), new_id(), new_id()
    await points.tell(family.changed(1, stays, left))
    await points.tell(family.changed(3, stays, came), family.changed(2, stays, left), family.changed(3, left))
    async with points.db.transaction() as session:
        members = set(await session.scalars(select(Member.person_id).where(Member.household_id == family.id)))
        assert members == {stays, came}
        assert await may_act_for(session, family.id, came)
        assert not await may_act_for(session, family.id, left)


async def test_the_flags_of_members_are_kept_as_they_are_told(points: Points) -> None:
    family, child = Family(), new_id()
    for version, consented in ((1, True), (2, False)):
        told = family.changed(version)
        member = {"person_id": str(child), "child": True, "consented": consented}
        await points.tell(told.again(members=[member, member]))
        async with points.db.transaction() as session:
            [kept] = await session.scalars(select(Member).where(Member.household_id == family.id))
            assert (kept.person_id, kept.child, kept.consented) == (child, True, consented)


async def test_versions_that_race_leave_the_newest(points: Points) -> None:
    family = Family()
    people = [new_id() for _ in range(8)]
    told = [family.changed(version, person) for version, person in enumerate(people, start=1)]
    await asyncio.gather(*[points.deliver(message) for message in [*told[4:], *told[:4]]])
    async with points.db.transaction() as session:
        kept = set(await session.scalars(select(Member.person_id).where(Member.household_id == family.id)))
    assert kept == {people[-1]}


async def until_one_waits(points: Points) -> None:
    """Until some connection of the database waits for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with await psycopg.AsyncConnection.connect(points.town.database.admin_url, autocommit=True) as admin:
        while True:
            row = await (await admin.execute(waiting)).fetchone()
            if row and row[0]:
                return
            await asyncio.sleep(0.01)


async def test_an_older_version_that_is_taken_over_at_the_same_moment_does_not_win(points: Points) -> None:
    family, stays, left = Family(), new_id(), new_id()
    await points.tell(family.changed(1, stays, left))
    async with points.db.transaction() as session:
        await actions.follow(session, HouseholdChanged.model_validate(family.changed(3, stays).data))
        older = asyncio.create_task(points.tell(family.changed(2, stays, left)))
        await until_one_waits(points)
    await older
    async with points.db.transaction() as session:
        assert not await may_act_for(session, family.id, left)


async def test_only_identity_tells_of_households(points: Points) -> None:
    for service in ("orders", "events"):
        assert await points.send_as(service, Family().changed(1)) == ["refused"]
