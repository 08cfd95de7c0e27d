"""A month of 100,000 uses is drawn up, and comes out to the same byte also from a database that was restored."""

import csv
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import psycopg

from beiyuan.postgres import find_binaries
from services.points.settlement.rules import next_month
from tests.points.conftest import Points, service_on
from tests.points.settlement.conftest import Office, Partner, at_noon, day
from tests.points.settlement.test_files import a_month
from tests.town import TestDatabase

MONTH = date(2031, 3, 1)
USES, RETURNS, STORES = 100_000, 2_000, 7
COUPON = "(50000000000000 + n)::text"
USE_NO = f"{COUPON} || '0002'"


def fill(database: TestDatabase, merchant: Partner, used: str, returned: str) -> None:
    """Repeat the use of one coupon and the return of another, with coupons of their own, through the month.

    One statement a table, columns taken from the rows that are there.
    """
    uses, returns = f"generate_series(1, {USES}) AS n", f"generate_series(1, {RETURNS}) AS n"
    posted_at = f"row.posted_at + interval '27 days' * n / {USES}"
    seen = {"id": COUPON, "use_no": USE_NO, "store_id": f"'store-' || n % {STORES}"}
    with psycopg.connect(database.admin_url, options="-c search_path=points") as owner:
        owner.execute("SET session_replication_role = replica")
        last = _number(owner, "SELECT last_sequence FROM ledger WHERE name = 'civic'")
        use = f"SELECT transfer_id FROM coupon_event WHERE coupon_id = '{used}' AND kind = 'used'"
        back = f"SELECT transfer_id FROM coupon_event WHERE coupon_id = '{returned}' AND kind = 'returned'"
        moved = {"id": "md5('use' || n)::uuid", "sequence": f"{last} + n", "reference": "'bulk/' || n"}
        _repeat(owner, "transfer", f"id = ({use})", uses, moved | {"posted_at": posted_at})
        moved = {
            "id": "md5('return' || n)::uuid",
            "reverses_id": "md5('use' || n)::uuid",
            "sequence": f"{last + USES} + n",
            "reference": "'bulk/back/' || n",
            "posted_at": "row.posted_at + interval '27 days'",
        }
        _repeat(owner, "transfer", f"id = ({back})", returns, moved)
        coupon = seen | {"use_transfer_id": "md5('use' || n)::uuid"}
        _repeat(owner, "coupon", f"id = '{used}'", uses, coupon)
        event = {"coupon_id": COUPON, "use_no": USE_NO, "store_id": seen["store_id"], "out_request_no": "'bulk-' || n"}
        event["transfer_id"] = "md5('use' || n)::uuid"
        _repeat(owner, "coupon_event", f"coupon_id = '{used}' AND kind = 'used'", uses, event)
        event |= {"transfer_id": "md5('return' || n)::uuid", "out_request_no": "'back-' || n"}
        _repeat(owner, "coupon_event", f"coupon_id = '{returned}' AND kind = 'returned'", returns, event)
        owner.execute(
            "UPDATE ledger SET last_sequence = %s,"
            " last_posted_at = (SELECT max(posted_at) FROM transfer WHERE ledger = 'civic') WHERE name = 'civic'",
            [last + USES + RETURNS],
        )


def _repeat(owner: psycopg.Connection, table: str, where: str, series: str, changes: Mapping[str, str]) -> None:
    columns = owner.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'points' AND table_name = %s"
        " AND is_generated = 'NEVER'",
        [table],
    ).fetchall()
    values = ", ".join(changes.get(name, f'"row"."{name}"') for (name,) in columns)
    names = ", ".join(f'"{name}"' for (name,) in columns)
    owner.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} AS row, {series} WHERE {where}".encode())


def _number(owner: psycopg.Connection, statement: str) -> int:
    row = owner.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def restored(database: TestDatabase, folder: Path) -> Iterator[TestDatabase]:
    """The database as it comes out of a backup: dumped, and read into an empty one."""
    programs = find_binaries()[0].folder
    backup, name = folder / "backup", f"test_{secrets.token_hex(6)}"
    how = ["--format=custom", "--compress=0", "--schema=points", f"--file={backup}"]
    subprocess.run([programs / "pg_dump", *how, database.admin_url], check=True)
    with psycopg.connect(database.server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        try:
            found = TestDatabase(name, database.server)
            subprocess.run([programs / "pg_restore", "--jobs=2", f"--dbname={found.admin_url}", backup], check=True)
            yield found
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def everything(office: Office, merchant: Partner, small: Partner, ids: tuple[str, str]) -> dict[str, bytes]:
    """What can be made of the months of a merchant with very many uses and one with few."""
    return {
        "large csv": await office.file(office.clerk, ids[0], "csv"),
        "large xlsx": await office.file(office.clerk, ids[0], "xlsx"),
        "small csv": await office.file(office.clerk, ids[1], "csv"),
        "small xlsx": await office.file(office.clerk, ids[1], "xlsx"),
        "large bill": (await office.bill(merchant, day(next_month(MONTH), 11))).gzipped(),
        "small bill": (await office.bill(small, MONTH)).gzipped(),
    }


async def test_a_month_of_100_000_uses_is_drawn_up_and_made_again_from_a_backup_byte_for_byte(
    own_points: Points, keys_dir: Path, tmp_path: Path
) -> None:
    office = Office(own_points)
    merchant, small = await office.partner("大超市"), await office.partner("小卖部")
    small_id, _ = await a_month(office, small, MONTH, "补上月少付")
    later = next_month(MONTH)
    with at_noon(later):
        _, [used, returned] = await office.family(merchant, 2)
        for coupon_id in (used, returned):
            await office.shop.use_known(merchant, coupon_id)
        await office.give_back(returned)
    fill(own_points.town.database, merchant, used, returned)
    began = time.perf_counter()
    large_id = await office.draw_up(merchant, later)
    drawn_up = time.perf_counter() - began
    statement = await office.statement(large_id)
    assert (statement["uses"], statement["returns"]) == (USES + 2, RETURNS + 1)
    assert statement["payable_fen"] == 1500 * (USES + 1 - RETURNS)
    assert len(statement["stores"]) == STORES
    began = time.perf_counter()
    made = await everything(office, merchant, small, (large_id, small_id))
    print(f"drawn up in {drawn_up:.2f} s, files in {time.perf_counter() - began:.2f} s")
    lines = list(csv.reader(made["large csv"].decode("utf-8-sig").splitlines()))
    assert len(lines) == USES + RETURNS + 3 + 2
    assert [int(figure) for figure in lines[-1][8:11]] == [
        sum(int(line[column]) for line in lines[1:-1]) for column in (8, 9, 10)
    ]
    with restored(own_points.town.database, tmp_path) as database:
        async with service_on(database, keys_dir, tmp_path / "again") as again:
            assert await everything(Office(again), merchant, small, (large_id, small_id)) == made
