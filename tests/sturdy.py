"""A PostgreSQL of a test's own that may be killed, and comes back."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import kill
from pathlib import Path
from typing import Any

import psycopg

from beiyuan.postgres import EmbeddedPostgres, servers_in
from tests.ports import held_port

PATIENCE_SECONDS = 60
_UNDER_WAY = "backend_xid IS NOT NULL"
_LAST_CRASH = "pg_stat_get_bgwriter_stat_reset_time()"
_WRITERS = "backend_type IN ('walwriter', 'background writer', 'checkpointer')"


class SturdyPostgres(EmbeddedPostgres):
    """A server that comes back after it was killed, at the address that is held for it."""

    def __init__(self, data_dir: Path, held: socket.socket) -> None:
        super().__init__(data_dir, fsync=False)
        self._held_port: int = held.getsockname()[1]
        self._standing_still: list[int] = []

    def _spawn(self, binaries: Any, account: Any, port: int, log: int) -> Any:
        return super()._spawn(binaries, account, self._held_port, log)

    def _launch(self, binaries: Any, account: Any) -> None:
        super()._launch(binaries, account)
        self._port = self._held_port

    def hold_log(self) -> None:
        """Until it crashes, its log is written when somebody commits, and never by those who write it in passing.

        So whatever is not committed by then is lost, the transaction's id included, however slow the machine is.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(writers := self._asked(f"SELECT pid FROM pg_stat_activity WHERE {_WRITERS}")) < 3:
            assert time.monotonic() < deadline, "they do not begin"
            time.sleep(0.02)
        self._standing_still = [process for (process,) in writers]
        self._tell_writers(signal.SIGSTOP)

    def stop(self) -> None:
        """End it, though its log may be held."""
        self._tell_writers(signal.SIGCONT)
        self._standing_still = []
        super().stop()

    def _tell_writers(self, number: signal.Signals) -> None:
        for process in self._standing_still:
            with suppress(ProcessLookupError):
                kill(process, number)

    def kill(self) -> None:
        """SIGKILL to the postmaster and to all its children."""
        process = self._process
        assert process is not None
        for id_ in [process.pid, *servers_in(self.folder.path)]:
            with suppress(ProcessLookupError):  # it is gone with its postmaster
                kill(id_, signal.SIGKILL)
        process.wait()
        self._standing_still = []
        self.stop()

    def crash(self) -> None:
        """All of it is killed, and it is started again."""
        self.kill()
        self.start()

    def crash_of_itself(self) -> None:
        """The process of the transaction under way is killed; the server ends all others, and goes on from its log."""
        [(process, before)] = self._asked(f"SELECT pid, {_LAST_CRASH} FROM pg_stat_activity WHERE {_UNDER_WAY}")
        kill(process, signal.SIGKILL)
        self._tell_writers(signal.SIGKILL)  # who stands still does not end with the others
        self._standing_still = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(psycopg.OperationalError):
                if self._asked(f"SELECT {_LAST_CRASH}") != [(before,)]:
                    return
            assert time.monotonic() < deadline, "it does not come back"
            time.sleep(0.02)

    def transaction_under_way(self) -> int:
        """The id of the one that has written something and is not committed."""
        [(xid,)] = self._asked(f"SELECT backend_xid::text FROM pg_stat_activity WHERE {_UNDER_WAY}")
        return int(xid)

    def used_again(self, xid: int) -> bool:
        """Others commit until one of them had this transaction id; False if nobody is given it any more."""
        given = 0
        while given < xid:
            [(text,)] = self._asked("SELECT pg_current_xact_id()::text")
            given = int(text)
        return given == xid

    def _asked(self, query: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(), autocommit=True) as admin:
            return admin.execute(query).fetchall()


@contextmanager
def sturdy_postgres(folder: Path) -> Iterator[SturdyPostgres]:
    """A server with its data in `folder`. It takes no transaction id of its own accord."""
    with held_port() as held, SturdyPostgres(folder / "data", held) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET autovacuum = off")
            admin.execute("SELECT pg_reload_conf()")
        yield server
