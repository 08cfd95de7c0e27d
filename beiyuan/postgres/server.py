"""The life of the embedded server: how it starts, where it listens, how it ends."""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from beiyuan.postgres.account import Account, program_environment, usable_account
from beiyuan.postgres.binaries import Binaries, find_binaries, fitting_binaries
from beiyuan.postgres.errors import PostgresError, last_words
from beiyuan.postgres.folder import PAUSE, SUPERUSER, DataFolder

HOST = "127.0.0.1"
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # the path of a socket may not be longer than 107 bytes
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",  # the details of an error hold values of rows
}
UNSAFE_SETTINGS = {"fsync": "off", "full_page_writes": "off"}

START_LIMIT = 120  # seconds; recovery after a crash is part of it
START_ATTEMPTS = 20  # a port may be taken between choice and use; a predecessor may not be quite gone
STOP_LIMITS = {signal.SIGINT: 30, signal.SIGQUIT: 10, signal.SIGKILL: 10}  # seconds; fast, immediate, brutal
LOG_SIZE = 10_000_000  # bytes, beyond which a start sets the log aside


class EmbeddedPostgres:
    """One PostgreSQL server on one data folder, which the first start makes.

    It listens on 127.0.0.1 alone, on a free port chosen at every start, and asks for a password. It ends with
    this process, however that ends (Linux; elsewhere at an orderly end only). `start` must be called in the
    main thread, because Linux ends the server when the thread that started it ends.

    `fsync=False` is for tests: faster, and the data survive the end of any process, but not of the machine.
    """

    def __init__(self, data_dir: Path, *, binaries: Sequence[Binaries] | None = None, fsync: bool = True) -> None:
        self.folder = DataFolder(data_dir)
        self._available = binaries
        self._fsync = fsync
        self._holding = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """The address of a database on the running server; the password defaults to the superuser's."""
        if self._port is None:
            raise RuntimeError("the server does not run")
        if password is None:
            password = self.folder.password_file.read_text()
        return f"postgresql://{_escape(user)}:{_escape(password)}@{HOST}:{self._port}/{_escape(database)}"

    def start(self) -> None:
        """Return when the server accepts connections: in about a second at first, half a second later on.

        Raises `PostgresError`; then nothing is left running.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start() must be called in the main thread")
        if self._process is not None:
            raise RuntimeError("the server has been started already")
        try:
            self._start()
        except OSError as error:
            self.stop()
            raise PostgresError(
                f"{error.filename or self.folder.path}: {error.strerror}. All in {self.folder.home} must "
                "belong to the user who starts 和谐北苑, on a disk with room. Start it as the user who did "
                "so before, or set BEIYUAN_HOME to another folder."
            ) from error
        except BaseException:  # Ctrl-C, too, must leave nothing behind
            self.stop()
            raise

    def stop(self) -> None:
        """End the server: at first politely (clients are cut off, their transactions undone), then harder."""
        if self._process is not None:
            for number, limit in STOP_LIMITS.items():
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(limit)
                    break
        self._process = self._port = None
        self._holding.close()

    def _start(self) -> None:
        self._holding.enter_context(self.folder.locked())
        available = find_binaries() if self._available is None else self._available
        binaries = fitting_binaries(self.folder.path, available)
        account = usable_account(binaries, self.folder.home)
        self.folder.prepare(binaries, account, sync=self._fsync)
        self._launch(binaries, account)
        if sys.platform != "linux":
            atexit.register(self.stop)

    def _launch(self, binaries: Binaries, account: Account) -> None:
        log_file = self.folder.log_file
        if log_file.exists() and log_file.stat().st_size > LOG_SIZE:
            log_file.replace(self.folder.old_log_file)
        log = os.open(log_file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for _ in range(START_ATTEMPTS):
                begin = os.lseek(log, 0, os.SEEK_END)
                port = _free_port()
                self._process = self._spawn(binaries, account, port, log)
                if self._becomes_ready(self._process):
                    self._port = port
                    return
                time.sleep(PAUSE)
            output = os.pread(log, LOG_SIZE, begin)
        finally:
            os.close(log)
        raise PostgresError(f"PostgreSQL did not start (its log: {log_file}). {last_words(output)}")

    def _spawn(self, binaries: Binaries, account: Account, port: int, log: int) -> subprocess.Popen[bytes]:
        settings = SETTINGS | ({} if self._fsync else UNSAFE_SETTINGS) | {"port": str(port)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return subprocess.Popen(
            account.command(
                self.folder.home,
                binaries.postgres,
                *("-D", str(self.folder.path), *options),
                death_signal=signal.SIGINT,  # a fast shutdown: nothing to recover at the next start
            ),
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us alone, and we decide what ends when
        )

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until this server accepts connections (True) or has given up (False)."""
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return False
            # As pg_ctl does it: line 1 of the pid file is the process, line 8 its state.
            with contextlib.suppress(FileNotFoundError):
                lines = self.folder.pid_file.read_text().splitlines()
                if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                    return True
            time.sleep(0.02)
        raise PostgresError(
            f"PostgreSQL was not ready within {START_LIMIT} seconds. Its log says why: "
            f"{self.folder.log_file}. If it speaks of recovery, start again: it goes on from there."
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _escape(part: str) -> str:
    return quote(part, safe="")
