"""The data folder: one launcher's at a time, made complete or not at all, free of a dead server's traces.

Beside the folder `postgres` lie `postgres.password` (the superuser's, readable by the owner only),
`postgres.log`, and `postgres.lock`, held by the one process that may run a server on this folder.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from beiyuan.postgres.account import Account, program_environment
from beiyuan.postgres.binaries import Binaries, data_version
from beiyuan.postgres.errors import PostgresError, last_words

SUPERUSER = "postgres"
PAUSE = 0.25  # seconds, as are the limits
INIT_LIMIT = 120
PREDECESSOR_LIMIT = 40


class DataFolder:
    """The files of one database server: its data folder and what lies beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.home = self.path.parent
        self.log_file = self._beside("log")
        self.old_log_file = self._beside("log.1")
        self.password_file = self._beside("password")
        self.lock_file = self._beside("lock")
        self.pid_file = self.path / "postmaster.pid"

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{suffix}")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other launcher out, until this process ends at the latest."""
        self.home.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(lock, 20).decode() or "unknown"
                raise PostgresError(
                    f"The data in {self.path} are in use by another 和谐北苑 (process {holder}). "
                    "Stop that one first, or set BEIYUAN_HOME to another folder to run two side by side."
                ) from None
            os.ftruncate(lock, 0)
            os.write(lock, str(os.getpid()).encode())
            yield
        finally:
            os.close(lock)

    def prepare(self, binaries: Binaries, account: Account, *, sync: bool) -> None:
        """Have the folder ready for a server of this account; make it if there is none. Needs the lock."""
        self._sweep()
        if data_version(self.path) is None:
            self._initialise(binaries, account, sync=sync)
        elif not self.password_file.exists():
            raise PostgresError(
                f"{self.password_file} is missing, and nobody gets into the data in {self.path} without it. "
                "Put it back from a backup, or set BEIYUAN_HOME to another folder to begin afresh."
            )
        if sys.platform == "linux":
            self._await_predecessor()
        _give(self.path, account.uid, account.gid)

    def _sweep(self) -> None:
        """Remove what an interrupted `_initialise` has left."""
        for folder in self.home.iterdir():
            if folder.name.startswith(self._beside("init-").name):
                shutil.rmtree(folder, ignore_errors=True)

    def _initialise(self, binaries: Binaries, account: Account, *, sync: bool) -> None:
        """Make the data elsewhere and move them into place complete, so that they are never half made."""
        work = Path(tempfile.mkdtemp(prefix=self._beside("init-").name, dir=self.home))
        try:
            password_file = work / "password"
            password_file.touch(mode=0o600)
            password_file.write_text(secrets.token_urlsafe(32))
            _give(work, account.uid, account.gid)
            _initdb(binaries, account, work, sync=sync)
            # The password first: data without theirs would be lost.
            _give(password_file, os.geteuid(), os.getegid())
            password_file.replace(self.password_file)
            (work / "data").replace(self.path)
            _sync(self.home)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _await_predecessor(self) -> None:
        """Let the server of a killed launcher finish its shutdown, and remove a pid file left behind.

        With no server at work in the folder a pid file means nothing; but PostgreSQL would refuse to start
        if the number in it now belongs to another process of its user, as after a restart of the machine.
        """
        deadline = time.monotonic() + PREDECESSOR_LIMIT
        while running := list(servers_in(self.path)):
            if time.monotonic() > deadline:
                numbers = " ".join(map(str, running))
                raise PostgresError(
                    f"A PostgreSQL started earlier is still at work in {self.path} (processes {numbers}). "
                    f"Wait a minute and try again; if it stays, end it with `kill -QUIT {numbers}`."
                )
            time.sleep(PAUSE)
        self.pid_file.unlink(missing_ok=True)


def servers_in(data_dir: Path) -> Iterator[int]:
    """The ids of the PostgreSQL processes at work in a data folder (Linux): each has it as working folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            if (process / "cwd").readlink() == data_dir and (process / "comm").read_text() == "postgres\n":
                yield int(process.name)


def _initdb(binaries: Binaries, account: Account, work: Path, *, sync: bool) -> None:
    options = [
        "--locale=C.UTF-8",  # with C, trigram search finds nothing in Chinese
        "--encoding=UTF8",
        "--auth=scram-sha-256",
        "--data-checksums",
        f"--username={SUPERUSER}",
        f"--pwfile={work / 'password'}",
        f"--pgdata={work / 'data'}",
        *([] if sync else ["--no-sync"]),
    ]
    try:
        made = subprocess.run(
            account.command(work, binaries.initdb, *options, death_signal=signal.SIGKILL),
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INIT_LIMIT,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PostgresError(
            f"PostgreSQL could not make its data folder in {work.parent} within {INIT_LIMIT} seconds. "
            "Is the disk very slow? Set BEIYUAN_HOME to a folder on a local disk."
        ) from None
    if made.returncode != 0:
        raise PostgresError(f"PostgreSQL could not make its data folder in {work.parent}. {last_words(made.stdout)}")


def _give(path: Path, uid: int, gid: int) -> None:
    """Make our own file or folder that user's. The top comes last: until it is theirs, all is done again."""
    if path.stat().st_uid == uid:
        return
    for folder, folders, files in os.walk(path, topdown=False):
        for name in folders + files:
            os.chown(Path(folder, name), uid, gid, follow_symlinks=False)
    os.chown(path, uid, gid)


def _sync(folder: Path) -> None:
    """Make the renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
