"""PostgreSQL crashes while a COMMIT is under way. What it had not written down is gone, the transaction's id included,
which another one may be given: what is answered then must be true all the same.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.core import db as chassis_db
from chassis.core.db import Database, OutcomeUnknown, is_lost, leave_evidence
from chassis.core.ids import new_id
from tests.chassis.conftest import migrated_toys
from tests.chassis.toy.proxy import Proxy, proxy
from tests.chassis.toy.tables import Note
from tests.chassis.toy.town import ToyDatabase, ToyTown
from tests.sturdy import SturdyPostgres, sturdy_postgres

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time to say what became of a transaction."""
    monkeypatch.setattr(chassis_db, "_OUTCOME_SECONDS", 60)


@pytest.fixture(scope="module")
def sturdy(fast_folder: Path) -> Iterator[SturdyPostgres]:
    """A server that may be killed."""
    with sturdy_postgres(fast_folder / "crashing") as server:
        yield server


@pytest.fixture(scope="module")
def sturdy_database(sturdy: SturdyPostgres) -> ToyDatabase:
    """The toys' database on it."""
    return migrated_toys(sturdy)


@pytest.fixture
async def between(sturdy_database: ToyDatabase) -> AsyncIterator[Proxy]:
    """What loses the connection at the COMMIT, and lets the server crash."""
    async with proxy(sturdy_database.url("sender")) as between:
        yield between


@pytest.fixture
async def db(sturdy_database: ToyDatabase, between: Proxy, toy_keys: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """The sender's database, by way of it."""
    settings = ToyTown(sturdy_database, toy_keys, tmp_path).settings("sender", database_url=between.url)
    db = Database(settings, schema="sender")
    yield db
    await db.dispose()


async def write_note(session: AsyncSession, *, evidence: bool) -> Note:
    """Write something, and say by what it may be found again."""
    note = Note(id=new_id(), box="letters", words=f"早上好 {new_id()}")
    session.add(note)
    await session.flush()
    if evidence:
        leave_evidence(session, "SELECT FROM note WHERE id = %s", note.id)
    return note


async def is_there(db: Database, note: Note) -> bool:
    async with db.transaction() as session:
        return await session.get(Note, note.id) is not None


async def outcome(db: Database, *, evidence: bool) -> tuple[BaseException | None, bool]:
    """What is said of a transaction whose COMMIT loses its connection, and whether what it wrote is there."""
    async with db.sessions() as session:
        note = await write_note(session, evidence=evidence)
        try:
            await db.commit(session)
        except (OutcomeUnknown, OperationalError) as error:
            return error, await is_there(db, note)
    return None, await is_there(db, note)


async def outcome_of_a_lost_id(
    db: Database, between: Proxy, sturdy: SturdyPostgres, crash: Callable[[], None], *, evidence: bool
) -> BaseException | None:
    """What is said of a transaction that a crash ended, and whose id another one had and committed."""
    used_again: list[bool] = []

    def meanwhile() -> None:
        xid = sturdy.transaction_under_way()
        crash()
        used_again.append(sturdy.used_again(xid))

    sturdy.hold_log()
    between.lose, between.meanwhile = "before commit", meanwhile
    error, there = await outcome(db, evidence=evidence)
    assert not there
    assert used_again == [True]
    return error


@pytest.mark.parametrize("crash", ["crash", "crash_of_itself"])
async def test_another_transaction_with_the_same_id_is_not_taken_for_ours(
    db: Database, between: Proxy, sturdy: SturdyPostgres, crash: str
) -> None:
    error = await outcome_of_a_lost_id(db, between, sturdy, getattr(sturdy, crash), evidence=False)
    assert isinstance(error, OutcomeUnknown)


async def test_who_left_evidence_is_told_that_nothing_was_done(
    db: Database, between: Proxy, sturdy: SturdyPostgres
) -> None:
    error = await outcome_of_a_lost_id(db, between, sturdy, sturdy.crash, evidence=True)
    assert error is not None
    assert is_lost(error)


async def test_an_id_that_nobody_was_given_again_was_not_committed(
    db: Database, between: Proxy, sturdy: SturdyPostgres
) -> None:
    between.lose, between.meanwhile = "before commit", sturdy.crash
    error, there = await outcome(db, evidence=False)
    assert error is not None
    assert is_lost(error)
    assert not there


@pytest.mark.parametrize("evidence", [True, False], ids=["with evidence", "without"])
async def test_what_was_committed_before_the_crash_is_never_called_a_failure(
    db: Database, between: Proxy, sturdy: SturdyPostgres, evidence: bool
) -> None:
    between.lose, between.meanwhile = "after commit", sturdy.crash
    error, there = await outcome(db, evidence=evidence)
    assert there
    assert error is None if evidence else isinstance(error, OutcomeUnknown)


async def test_evidence_of_what_was_undone_is_none(db: Database, between: Proxy, sturdy: SturdyPostgres) -> None:
    between.lose, between.meanwhile = "after commit", sturdy.crash
    async with db.sessions() as session:
        await write_note(session, evidence=True)
        await session.rollback()
        note = await write_note(session, evidence=False)
        with pytest.raises(OutcomeUnknown):
            await db.commit(session)
    assert await is_there(db, note)


async def test_a_connection_lost_without_a_crash_leaves_no_doubt(db: Database, between: Proxy) -> None:
    between.lose = "after commit"
    assert await outcome(db, evidence=False) == (None, True)
    between.lose = "before commit"
    error, there = await outcome(db, evidence=False)
    assert error is not None
    assert is_lost(error)
    assert not there
