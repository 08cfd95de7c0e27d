"""An installation in which households had joined others before their caps were one."""

from pathlib import Path

from beiyuan.migrate import migrate
from chassis.core.ids import new_id
from services.points.awards.replay import replay
from tests.points.conftest import service_on
from tests.points.facts import NOON, Family, Order
from tests.points.test_upgrade import connect, migrated_to
from tests.town import TestDatabase


async def test_a_family_that_had_joined_another_before_keeps_all_and_shares_a_cap_from_now_on(
    migrated: TestDatabase, keys_dir: Path, tmp_path: Path
) -> None:
    old, new = Family(), Family()
    with migrated_to("0010", migrated) as database:
        with connect(database) as connection:
            for family, into in ((old, new.id), (new, None)):
                connection.execute("INSERT INTO household VALUES (%s, 2, %s)", [family.id, into])
            fact = "INSERT INTO fact (type, fact_id, subject_kind, subject_id, occurred_at, accepted_at, data) VALUES"
            values = "('of.before', %s, 'order', %s, %s, %s, '{}')"
            connection.execute(f"{fact} {values}".encode(), [new_id(), new_id(), NOON, NOON])
        migrate(database.admin_url, database.service_urls)
        with connect(database) as connection:
            found = connection.execute("SELECT id, joined_after FROM household").fetchall()
        assert {row["id"]: row["joined_after"] for row in found} == {old.id: 1, new.id: None}
        async with service_on(database, keys_dir, tmp_path) as points:
            for family in (old, new):
                await points.tell(*[Order().closed(new_id(), reporter_household_id=family.id) for _ in range(4)])
        with connect(database) as connection:
            used = connection.execute("SELECT holder_id, used FROM cap_use").fetchall()
        assert {row["holder_id"]: row["used"] for row in used} == {old.id: 8, new.id: 2}
        assert [found for part in replay(database.url("points")) for found in part.differences] == []
