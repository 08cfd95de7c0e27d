"""The database: one engine a service, one transaction a request, and what to do when one fails.

Connections are READ COMMITTED. The schema comes from `search_path`, which each connection sets to the service's
own schema; SQL names no schema.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, LiteralString, TypeVar

import psycopg
from psycopg.pq import PipelineStatus
from sqlalchemy import DateTime, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.schema import MetaData

from chassis.core.errors import Unavailable
from chassis.core.settings import ServiceSettings

T = TypeVar("T")

_OUTCOME_SECONDS = 10
# A server's life ends when it crashes: it forgets what it had not written down yet, and gives the ids of transactions
# of which it knows nothing out again. A crash resets the statistics, whether or not the postmaster itself began anew.
_LIFE = "(pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time())::text"
_LAST_WORDS = f"SELECT pg_current_xact_id_if_assigned()::text, {_LIFE}"
_OUTCOME = f"SELECT pg_xact_status(%s::xid8), {_LIFE} WHERE NOT pg_is_in_recovery()"
_CHANNEL = "channel to notify"
_EVIDENCE = "evidence of the commit"

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name that can be foreseen, since errors are told apart by it."""

Instant = Annotated[datetime, mapped_column(DateTime(timezone=True))]
"""A moment: `timestamptz`, always aware in Python."""


def naming() -> MetaData:
    """A metadata with the naming convention, for a service's own declarative base."""
    return MetaData(naming_convention=NAMING)


class ChassisBase(DeclarativeBase):
    """Base of the tables that every service has in its own schema: messages and requests."""

    metadata = naming()


class OutcomeUnknown(Unavailable):
    """The connection was lost while a COMMIT was under way, and it could not be found out what became of it."""

    code = "outcome_unknown"
    title, title_zh = "It is not known whether this was done; look before you repeat it", "结果未知，请先查询再重试"


_Evidence = tuple[LiteralString, list[Any]]


@dataclass(frozen=True, slots=True)
class _LastWords:
    """What is known of a transaction before its COMMIT: its id, in which life of the server, and what it wrote."""

    xid: str
    life: str
    evidence: _Evidence | None

    async def came_true(self, connection: psycopg.AsyncConnection[Any]) -> bool | None:
        """Whether it was committed; None while that is not decided. Raises OutcomeUnknown.

        That an id was rolled back, or never given out, is true of ours whatever happened: had ours been committed, that
        would have been written down and nobody else given its id. That it was committed may be true of another one,
        in another life; in this case ours has ended, and what it wrote is there or never will be.
        """
        try:
            found = await (await connection.execute(_OUTCOME, [self.xid])).fetchone()
        except psycopg.errors.InvalidParameterValue:  # it lies in the future
            return False
        status, life = found or (None, "")  # a standby knows only what has reached it yet
        if status != "committed":
            return False if status == "aborted" else None
        if life == self.life:
            return True
        if self.evidence is None:
            raise OutcomeUnknown
        return await (await connection.execute(*self.evidence)).fetchone() is not None


class Database:
    """A service's database: `async with db.transaction() as session` commits at the end or rolls back."""

    def __init__(self, settings: ServiceSettings, *, schema: str) -> None:
        self.schema = schema
        self.url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+psycopg")
        self.options = " ".join(
            f"-c {name}={value}"
            for name, value in {
                "search_path": schema,
                "lock_timeout": int(settings.lock_timeout_seconds * 1000),
                "statement_timeout": int(settings.statement_timeout_seconds * 1000),
                "idle_in_transaction_session_timeout": int(settings.idle_transaction_timeout_seconds * 1000),
                "timezone": "UTC",
            }.items()
        )
        self._connect_timeout = settings.db_connect_timeout_seconds
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=settings.db_pool_size,
            max_overflow=settings.db_pool_overflow,
            pool_timeout=settings.db_pool_timeout_seconds,
            hide_parameters=True,  # errors are logged, and parameters may be personal
            connect_args={"options": self.options, "connect_timeout": self._connect_timeout},
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_the_dead)
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @property
    def conninfo(self) -> str:
        """The same database for a plain psycopg connection (jobs, the relay's LISTEN)."""
        parts = self.url.translate_connect_args(username="user", database="dbname") | dict(self.url.query)
        further = {"options": self.options, "connect_timeout": self._connect_timeout}
        return psycopg.conninfo.make_conninfo("", **parts | further)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end of the block, or not at all."""
        async with self.sessions() as session:
            yield session
            await self.commit(session)

    async def commit(self, session: AsyncSession, *, repeatable: bool = False) -> None:
        """Commit; where the connection is lost meanwhile, find out what happened before anyone is told.

        `repeatable` saves a round trip: whoever asked may simply ask again, so a lost connection is just a failure.
        Raises OutcomeUnknown if the server cannot be asked within ten seconds, or crashed and there is no evidence of
        what was written (`leave_evidence`); the driver's error if it rolled back.
        """
        await session.flush()
        if not session.in_transaction():
            return
        words = None if repeatable and _CHANNEL not in session.info else await self._last_words(session)
        try:
            await session.commit()
        except (OperationalError, InterfaceError) as error:
            if words is None or not error.connection_invalidated:
                raise
            if not await self._was_committed(words):
                raise

    async def _last_words(self, session: AsyncSession) -> _LastWords | None:
        """The transaction's id and more, if it wrote anything; who is to be notified is so in the same round trip.

        The notification goes out with the commit, once. One that was asked for in a savepoint or an attempt that was
        undone goes out as well, and wakes somebody for nothing.
        """
        channel = session.info.pop(_CHANNEL, None)
        driver = await driver_connection(session)
        with driver_errors(driver):
            if channel is None:
                words = await driver.execute(_LAST_WORDS)
            else:  # no table in it: where tables are sharded, it stays on the node that the listeners are connected to
                words = await driver.execute(f"{_LAST_WORDS}, pg_notify(%s, '')", [channel])
            xid, life, *_ = await words.fetchone() or (None, "")
        return None if xid is None else _LastWords(xid, life, _evidence(session))

    async def _was_committed(self, words: _LastWords) -> bool:
        """Ask on a connection of its own: the pool's may be lost too, or all in use. Raises OutcomeUnknown."""
        try:
            async with asyncio.timeout(_OUTCOME_SECONDS):
                while True:
                    with suppress(psycopg.OperationalError):  # the server is still coming back
                        async with await psycopg.AsyncConnection.connect(self.conninfo) as connection:
                            if (committed := await words.came_true(connection)) is not None:
                                return committed
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise OutcomeUnknown from None

    async def retrying(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run `work` in a transaction of its own, again (three times at most) after a deadlock.

        For work outside a request that is safe to run again; requests are retried by the web layer.
        """
        for last in (False, False, True):
            try:
                async with self.transaction() as session:
                    return await work(session)
            except DBAPIError as error:
                if last or not is_retryable(error):
                    raise
        raise AssertionError("unreachable")

    async def dispose(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def leave_evidence(session: AsyncSession, query: LiteralString, *values: object) -> None:
    """Say which row shows that this transaction was committed: it alone writes it, and it stays; `query` finds it.

    `Database.commit` looks for it where the server has crashed. Name it when nothing can undo it any more but the whole
    transaction's failure; of several the last one counts.
    """
    session.info[_EVIDENCE] = (session.sync_session.get_transaction(), (query, list(values)))


def _evidence(session: AsyncSession) -> _Evidence | None:
    transaction, evidence = session.info.get(_EVIDENCE, (None, None))
    return evidence if transaction is session.sync_session.get_transaction() else None  # not of one that was undone


def notify_at_commit(session: AsyncSession, channel: str) -> None:
    """Wake those who LISTEN on `channel` when `Database.commit` commits the transaction; one channel a session."""
    session.info[_CHANNEL] = channel


def _refuse_the_dead(connection: DBAPIConnection, *_: object) -> None:
    """Of the pool's connections, those that the server has ended are replaced before anybody meets them.

    They have something to read, its farewell and the end. To look costs no round trip, as a ping does. Raises
    DisconnectionError, upon which the pool opens another one.
    """
    driver = connection.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    try:
        arrived = select.poll()
        arrived.register(driver.fileno(), select.POLLIN)
        while arrived.poll(0):  # a notice is taken in; an end raises
            driver.pgconn.consume_input()
    except psycopg.OperationalError as error:
        raise DisconnectionError from error


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's five-character code, or an empty string."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def is_retryable(error: BaseException) -> bool:
    """Deadlock or serialization failure: the transaction did nothing and may be run again."""
    return sqlstate(error) in {"40P01", "40001"}


def is_lost(error: BaseException) -> bool:
    """The connection was lost, but not the database for all that is known: another connection may serve."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


def is_contention(error: BaseException) -> bool:
    """The database is busy (locks, time limits) or away: the caller may try again later; nothing was decided."""
    return isinstance(error, OperationalError | InterfaceError) or is_away(error)


def is_away(error: BaseException) -> bool:
    """The database cannot be reached, or has no connection to spare: what comes next would fail as well."""
    if isinstance(error, DBAPIError):
        return is_lost(error) or (isinstance(error, OperationalError) and not sqlstate(error))
    return isinstance(error, PoolTimeoutError)


def constraint_name(error: DBAPIError) -> str | None:
    """The name of the violated constraint, if the error is about one."""
    diag = getattr(error.orig, "diag", None)
    return getattr(diag, "constraint_name", None)


def unavailable() -> Unavailable:
    """What a caller is told when the database is busy or away."""
    return Unavailable("The database is busy; nothing was changed. Please try again.")


async def driver_connection(session: AsyncSession) -> psycopg.AsyncConnection[Any]:
    """The psycopg connection under this session, inside its transaction: for COPY, arrays, and deferring jobs."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    return driver


@contextmanager
def driver_errors(driver: psycopg.AsyncConnection[Any]) -> Iterator[None]:
    """What psycopg raises within the block comes out as SQLAlchemy's errors, as it does of a session's own statements.

    So it is retried, told by its constraint, or answered 503 like any other.
    """
    try:
        yield
    except psycopg.Error as error:
        if driver.pgconn.pipeline_status != PipelineStatus.OFF:  # it was lost in the midst of it: nothing ends that
            driver.pgconn.finish()
        raise DBAPIError.instance(
            None, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=driver.closed
        ) from error
