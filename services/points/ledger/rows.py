"""Writing what the core says, in sets: one statement a table, whatever the size of the batch."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, LiteralString

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import db
from chassis.core.db import driver_connection, driver_errors
from services.points.ledger.core.state import Changes, NewMerger, NewTransfer

Row = tuple[Any, ...]
FEW = 300
"""So many new rows of all tables go by one statement a table, without waiting: those of some seventy transfers. COPY
takes a row for less, and three round trips a table.
"""

_ACCOUNT = "id ledger owner_kind owner_id purpose floor balance held debt version opened_at merged_into_id"
_ACCOUNT_TYPES = "uuid varchar varchar uuid varchar int8 int8 int8 int8 int8 timestamptz uuid"
_HOLD = (
    "id ledger debit_account_id credit_account_id amount code reference occurred_at held_at lapses_at state closed_at"
    " posted_amount"
)
_HOLD_TYPES = "uuid varchar uuid uuid int8 varchar text timestamptz timestamptz timestamptz varchar timestamptz int8"
_TRANSFER = (
    "id ledger sequence debit_account_id debit_version debit_balance credit_account_id credit_version credit_balance"
    " amount code reference occurred_at posted_at rule_code rule_version reverses_id hold_id text_hash"
)
_TRANSFER_TYPES = (
    "uuid varchar int8 uuid int8 int8 uuid int8 int8 int8 varchar text timestamptz timestamptz text int8 uuid uuid"
    " bytea"
)
_LOT = "id sequence account_id expires_at amount free held"
_LOT_TYPES = "uuid int8 uuid timestamptz int8 int8 int8"
_MERGER = "id ledger sequence old_account_id new_account_id transfer_id reference occurred_at merged_at"
_MERGER_TYPES = "uuid varchar int8 uuid uuid uuid text timestamptz timestamptz"


async def write(session: AsyncSession, changes: Changes) -> None:
    """Write the rows of a batch, in the caller's transaction.

    COPY is the quickest for many rows, but each waits for the server several times; what a few commands write goes to
    it all at once.
    """
    if not changes.ledgers and not changes.accounts and not changes.holds and not changes.caps:
        return
    driver = await driver_connection(session)
    inserts = _inserts(changes)
    few = sum(len(rows) for *_, rows in inserts) <= FEW
    with driver_errors(driver):
        if not few:
            for table, columns, types, rows in inserts:
                await copy_rows(driver, table, columns, types, rows)
        async with driver.pipeline():
            if few:
                for table, columns, types, rows in inserts:
                    await _insert_rows(driver, table, columns, types, rows)
            await _update(driver, changes)


def leave_evidence(session: AsyncSession, changes: Changes) -> None:
    """What shows, should the server crash, that the batch was committed: one of its rows, by the id that only it gave.

    A batch that has moved and held nothing leaves none.
    """
    if changes.transfers:
        db.leave_evidence(session, "SELECT FROM transfer WHERE id = %s", changes.transfers[0].id)
    elif changes.new_holds:
        db.leave_evidence(session, "SELECT FROM hold WHERE id = %s", next(iter(changes.new_holds)))


def _inserts(changes: Changes) -> "list[tuple[LiteralString, LiteralString, LiteralString, list[Row]]]":
    """What is new: table, columns, their types, rows. What others refer to comes first."""
    new_accounts = [changes.accounts[id_] for id_ in changes.new_accounts]
    new_holds = [changes.holds[id_] for id_ in changes.new_holds]
    new_lots = [changes.lots[id_] for id_ in changes.new_lots]
    hold_lots: list[Row] = [(hold.id, lot_id, amount) for hold in new_holds for lot_id, amount in hold.lots]
    return [
        ("account", _ACCOUNT, _ACCOUNT_TYPES, _rows(_ACCOUNT, new_accounts)),
        ("hold", _HOLD, _HOLD_TYPES, _rows(_HOLD, new_holds)),
        ("transfer", _TRANSFER, _TRANSFER_TYPES, list(map(_transfer_row, changes.transfers))),
        ("lot", _LOT, _LOT_TYPES, _rows(_LOT, new_lots)),
        ("allocation", "cause_id lot_id amount", "uuid uuid int8", list(changes.allocations)),
        ("hold_lot", "hold_id lot_id amount", "uuid uuid int8", hold_lots),
        ("merger", _MERGER, _MERGER_TYPES, _rows(_MERGER, changes.mergers)),
    ]


async def insert_rows(
    driver: psycopg.AsyncConnection[Any],
    *tables: "tuple[LiteralString, LiteralString, LiteralString, Sequence[Row]]",
) -> None:
    """Insert rows of further tables, in this order: of each its name, columns, their types, and rows."""
    if sum(len(rows) for *_, rows in tables) > FEW:
        for table, columns, types, rows in tables:
            await copy_rows(driver, table, columns, types, rows)
    else:
        async with driver.pipeline():
            for table, columns, types, rows in tables:
                await _insert_rows(driver, table, columns, types, rows)


async def copy_rows(
    driver: psycopg.AsyncConnection[Any],
    table: LiteralString,
    columns: LiteralString,
    types: LiteralString,
    rows: Iterable[Row],
) -> None:
    """Insert rows by COPY: `columns` and their `types` are names with spaces between."""
    rows = list(rows)
    if not rows:
        return
    statement = f"COPY {table} ({columns.replace(' ', ', ')}) FROM STDIN (FORMAT BINARY)"
    async with driver.cursor().copy(statement) as copy:
        copy.set_types(types.split())
        for row in rows:
            await copy.write_row(row)


async def _insert_rows(
    driver: psycopg.AsyncConnection[Any],
    table: LiteralString,
    columns: LiteralString,
    types: LiteralString,
    rows: Sequence[Row],
) -> None:
    arrays = ", ".join(f"%b::{type_}[]" for type_ in types.split())
    statement = f"INSERT INTO {table} ({columns.replace(' ', ', ')}) SELECT * FROM unnest({arrays})"  # noqa: S608  # ours
    await _execute(driver, statement, rows)


def _rows(columns: str, states: Iterable[Any]) -> list[tuple[Any, ...]]:
    row = attrgetter(*columns.split())
    return [row(state) for state in states]


def _transfer_row(transfer: NewTransfer) -> tuple[Any, ...]:
    rule_code, rule_version = transfer.rule or (None, None)
    return (
        transfer.id,
        transfer.ledger,
        transfer.sequence,
        transfer.debit_account_id,
        transfer.debit_version,
        transfer.debit_balance,
        transfer.credit_account_id,
        transfer.credit_version,
        transfer.credit_balance,
        transfer.amount,
        transfer.code,
        transfer.reference,
        transfer.occurred_at,
        transfer.posted_at,
        rule_code,
        rule_version,
        transfer.reverses_id,
        transfer.hold_id,
        transfer.text_hash,
    )


_LEDGERS = """
UPDATE ledger SET last_sequence = new.last_sequence, last_posted_at = new.last_posted_at
FROM unnest(%b::text[], %b::int8[], %b::timestamptz[]) AS new (name, last_sequence, last_posted_at)
WHERE ledger.name = new.name
"""
_ACCOUNTS = """
UPDATE account SET balance = new.balance, held = new.held, debt = new.debt, version = new.version,
    merged_into_id = new.merged_into_id
FROM unnest(%b::uuid[], %b::int8[], %b::int8[], %b::int8[], %b::int8[], %b::uuid[])
    AS new (id, balance, held, debt, version, merged_into_id)
WHERE account.id = new.id
"""
_LOTS = """
UPDATE lot SET account_id = new.account_id, free = new.free, held = new.held
FROM unnest(%b::uuid[], %b::uuid[], %b::int8[], %b::int8[]) AS new (id, account_id, free, held)
WHERE lot.id = new.id
"""
_HOLDS = """
UPDATE hold SET debit_account_id = new.debit_account_id, state = new.state, closed_at = new.closed_at,
    posted_amount = new.posted_amount
FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::timestamptz[], %b::int8[])
    AS new (id, debit_account_id, state, closed_at, posted_amount)
WHERE hold.id = new.id
"""
_CAPS = """
INSERT INTO cap_use (rule_code, scope, holder_id, period, used)
SELECT * FROM unnest(%b::text[], %b::text[], %b::uuid[], %b::text[], %b::int8[])
ON CONFLICT (rule_code, scope, holder_id, period) DO UPDATE SET used = excluded.used
"""
# What the batch did not touch follows its account when that is merged: lots that are held whole, open holds, and
# accounts that were merged into it before.
_MERGED_LOTS = """
UPDATE lot SET account_id = new.id FROM unnest(%b::uuid[], %b::uuid[]) AS new (old_id, id)
WHERE lot.account_id = new.old_id AND lot.live
"""
_MERGED_HOLDS = """
UPDATE hold SET debit_account_id = new.id FROM unnest(%b::uuid[], %b::uuid[]) AS new (old_id, id)
WHERE hold.debit_account_id = new.old_id AND hold.state = 'open'
"""
_FOLLOWERS = """
UPDATE account SET merged_into_id = new.id FROM unnest(%b::uuid[], %b::uuid[]) AS new (old_id, id)
WHERE account.merged_into_id = new.old_id
"""


async def _update(driver: psycopg.AsyncConnection[Any], changes: Changes) -> None:
    accounts = [account for id_, account in changes.accounts.items() if id_ not in changes.new_accounts]
    lots = [lot for id_, lot in changes.lots.items() if id_ not in changes.new_lots]
    holds = [hold for id_, hold in changes.holds.items() if id_ not in changes.new_holds]
    caps = [(key.rule_code, key.scope, key.holder_id, key.period, used) for key, used in changes.caps.items()]
    await _execute(driver, _LEDGERS, _rows("name last_sequence last_posted_at", changes.ledgers.values()))
    await _execute(driver, _ACCOUNTS, _rows("id balance held debt version merged_into_id", accounts))
    await _execute(driver, _LOTS, _rows("id account_id free held", lots))
    await _execute(driver, _HOLDS, _rows("id debit_account_id state closed_at posted_amount", holds))
    await _execute(driver, _CAPS, caps)
    moved = list(_standing_after(changes.mergers).items())
    await _execute(driver, _MERGED_LOTS, moved)
    await _execute(driver, _MERGED_HOLDS, moved)
    await _execute(driver, _FOLLOWERS, moved)


async def _execute(
    driver: psycopg.AsyncConnection[Any], statement: LiteralString, rows: Sequence[tuple[Any, ...]]
) -> None:
    if rows:
        await driver.execute(statement, list(map(list, zip(*rows, strict=True))), binary=True)


def _standing_after(mergers: Sequence[NewMerger]) -> dict[Any, Any]:
    """For each account that was merged, the one that stands in its place after all of them."""
    into = {merger.old_account_id: merger.new_account_id for merger in mergers}
    for old, new in into.items():
        while new in into:
            new = into[new]
        into[old] = new
    return into
