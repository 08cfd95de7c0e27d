"""`beiyuan up` on a real machine: what its user sees when it starts, ends, is killed, or cannot start."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from beiyuan.postgres import servers_in
from tests.journeys.running import (
    Process,
    Running,
    environment,
    eventually,
    free_ports,
    wait_until_ready,
)


@pytest.fixture(scope="module")
def home(fast_folder: Path) -> Path:
    """A home with a space and Chinese in its path, used by one start after another."""
    return fast_folder / "processes" / "我的 家"


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


def start(home: Path, port: int, log: Path) -> Process:
    """`beiyuan up`, once it answers."""
    process = Process("up", env=environment(home, BEIYUAN_PORT=str(port)), log=log / f"up-{port}.log")
    process.wait_for("answers on")
    wait_until_ready(f"http://127.0.0.1:{port}")
    return process


def doctor(home: Path, **settings: str) -> str:
    """What `beiyuan doctor` says. Whether all is well depends on more than a test: on the year, too, since working days
    are known a year ahead at most.
    """
    told = subprocess.run(
        [sys.executable, "-m", "beiyuan", "doctor"],
        env=environment(home, **settings),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return told.stdout


@pytest.fixture
def report_number(home: Path, port: int, tmp_path: Path) -> str:
    """The number of a report that was made and acknowledged, on a server killed right after."""
    process = start(home, port, tmp_path)
    running = Running(f"http://127.0.0.1:{port}", home, [process.log], one_process=True)
    body = {"qr_code": running.town["qr_codes"][0]["code"], "subitem_code": "H0102", "description": "墙渗水"}
    with running.client() as client:
        answer = client.post("/api/orders/reports", json=body | {"photos": []})
    assert answer.status_code == 201, answer.text
    process.stop(signal.SIGKILL)
    return str(answer.json()["tracking_url"])


def test_a_report_survives_kill_dash_nine_and_no_process_is_left(
    report_number: str, home: Path, port: int, tmp_path: Path
) -> None:
    eventually(lambda: not list(servers_in(home / "postgres")))
    process = start(home, port, tmp_path)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False, timeout=60) as client:
            token = report_number.rsplit("/", 1)[1]
            assert client.get(f"/api/orders/track/{token}").status_code == 200
        assert "demo town has been loaded" not in process.output
    finally:
        assert process.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_everything_and_the_log_holds_no_alarm(
    home: Path, port: int, tmp_path: Path, number: signal.Signals
) -> None:
    process = start(home, port, tmp_path)
    assert process.stop(number) == 0
    assert not list(servers_in(home / "postgres"))
    assert "Traceback" not in process.output
    assert "error" not in process.output.lower()


def test_a_taken_port_is_told_with_the_setting_that_changes_it(home: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = Process("up", env=environment(home, BEIYUAN_PORT=str(port)), log=tmp_path / "up.log")
        assert process.wait() == 1
    assert str(port) in process.output
    assert "BEIYUAN_PORT" in process.output
    assert "Traceback" not in process.output


def test_a_second_start_on_the_same_data_is_refused_and_the_first_goes_on(
    home: Path, port: int, tmp_path: Path
) -> None:
    first = start(home, port, tmp_path)
    try:
        second = Process("up", env=environment(home, BEIYUAN_PORT=str(free_ports(1)[0])), log=tmp_path / "second.log")
        assert second.wait() == 1
        assert "BEIYUAN_HOME" in second.output
        ready = httpx2.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, verify=False, timeout=60)
        assert ready.status_code == 200
        told = doctor(home, BEIYUAN_PORT=str(port))
        assert f"Port {port} is ours" in told
        assert "The tables of points are up to date" in told
    finally:
        first.stop()


@pytest.mark.parametrize("demo", ["true", "false"])
def test_sign_in_codes_that_are_known_or_printed_are_never_asked_of_the_world(
    home: Path, tmp_path: Path, demo: str
) -> None:
    env = environment(home, BEIYUAN_HOST="0.0.0.0", BEIYUAN_DEMO=demo)
    process = Process("up", env=env, log=tmp_path / "up.log")
    assert process.wait() == 1
    assert "BEIYUAN_HOST" in process.output


def test_a_misspelt_or_impossible_setting_is_named(home: Path, tmp_path: Path) -> None:
    process = Process("up", env=environment(home, BEIYUAN_PORT="eight"), log=tmp_path / "up.log")
    assert process.wait() == 1
    assert "BEIYUAN_PORT" in process.output
    assert "Traceback" not in process.output
    assert "BEIYUAN_PROT" in doctor(home, BEIYUAN_PROT="8000")
