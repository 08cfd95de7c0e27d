"""和谐北苑 as it is really run: processes of their own, real HTTP, started and ended by the tests."""

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from beiyuan.names import SERVICES
from tests.ports import held_port

START_SECONDS = 600
STOP_SECONDS = 90
SOON_SECONDS = 60
"""For what is told from service to service: far more than it takes, since the machine may be slow and busy."""
PATIENCE = {
    "BEIYUAN_LOCK_TIMEOUT_SECONDS": "60",
    "BEIYUAN_DB_POOL_TIMEOUT_SECONDS": "60",
    "BEIYUAN_DB_CONNECT_TIMEOUT_SECONDS": "60",
    "BEIYUAN_IDLE_TRANSACTION_TIMEOUT_SECONDS": "120",
    "BEIYUAN_STATEMENT_TIMEOUT_SECONDS": "120",
}
"""Dozens at once wait for one another: on such a machine none of them is to be sent away meanwhile."""
DEMO_CODE = "246810"
ROOT = Path(__file__).parents[2]
_held: list[socket.socket] = []
_numbers = itertools.count(int(time.time()) * 64)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that no other process is given until this one ends."""
    held = [held_port() for _ in range(count)]
    _held.extend(held)
    return [item.getsockname()[1] for item in held]


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The environment of a process: ours, without settings of 和谐北苑 but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BEIYUAN_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # each of the many starts would compile everything anew
    if binaries := os.environ.get("BEIYUAN_PG_BIN"):
        kept["BEIYUAN_PG_BIN"] = binaries
    return kept | PATIENCE | {"BEIYUAN_HOME": str(home), "PYTHONUNBUFFERED": "1"} | settings


class Process:
    """A `beiyuan` command under way; what it prints goes to a file that can be read meanwhile."""

    def __init__(self, *arguments: str, env: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "beiyuan", *arguments],
                env=dict(env),
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, *, seconds: float = START_SECONDS) -> None:
        """Return when it has printed `text`."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert self._process.poll() is None, f"it ended with {self._process.returncode}:\n{self.output}"
            assert time.monotonic() < deadline, f"no {text!r} within {seconds} s:\n{self.output}"
            time.sleep(0.05)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code, once it has ended."""
        return self._process.wait(seconds)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send the signal and wait for the end."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"it did not end within {STOP_SECONDS} s:\n{self.output}") from None


def command(*arguments: str, env: Mapping[str, str]) -> str:
    """Run a `beiyuan` command to its end and return what it printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "beiyuan", *arguments],
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Running:
    """An installation under way: its address, its demo town, and how to sign in."""

    def __init__(self, url: str, home: Path, logs: list[Path], *, one_process: bool) -> None:
        self.url = url
        self.home = home
        self.logs = logs
        self.one_process = one_process
        self.town: dict[str, list[dict[str, Any]]] = json.loads(
            command("demo", "show", "--json", env=environment(home))
        )

    def client(self, token: str | None = None) -> httpx2.Client:
        """An HTTP client of the gateway, signed in with `token`."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # There is no TLS here, and to load the certificates for it takes longer than a request.
        return httpx2.Client(base_url=self.url, headers=headers, timeout=90, trust_env=False, verify=False)

    def code_for(self, phone: str) -> str:
        """Ask for a sign-in code for this phone; the code that was sent to it."""
        with self.client() as client:
            earlier = len(self._codes(phone))
            assert client.post("/api/identity/otp", json={"phone": phone}).status_code == 202
        if self.one_process:
            return DEMO_CODE
        found: list[str] = eventually(lambda: self._codes(phone)[earlier:])
        return found[-1]

    def sign_in(self, phone: str) -> str:
        """An access token for this phone, by the code that was sent to it."""
        code = self.code_for(phone)
        with self.client() as client:
            answer = client.post("/api/identity/tokens", json={"phone": phone, "code": code})
            assert answer.status_code == 200, answer.text
            token: str = answer.json()["access_token"]
            return token

    def signed_in(self, phone: str) -> httpx2.Client:
        """A client signed in with this phone."""
        return self.client(self.sign_in(phone))

    def new_phone(self) -> str:
        """A phone that nobody in the demo town and no other test has: counted, not drawn."""
        members = [member for household in self.town["households"] for member in household["members"]]
        taken = {person["phone"] for person in (*members, *self.town["accounts"])}
        return next(phone for number in _numbers if (phone := f"100{number % 10**8:08d}") not in taken)

    def account(self, role: str, organisation: str | None = None, *, skip: int = 0) -> dict[str, Any]:
        """An account of the demo town with this role, in this organisation if one is named; `skip` passes over some."""
        found = [
            item
            for item in self.town["accounts"]
            if item["role"] == role and organisation in (None, item["organisation"])
        ]
        return found[skip]

    def _codes(self, phone: str) -> list[str]:
        """The sign-in codes printed for this phone so far."""
        printed = "".join(log.read_text(encoding="utf-8", errors="replace") for log in self.logs)
        return re.findall(rf"SMS to {phone}: (\d{{6}})", printed)


@contextmanager
def all_in_one(home: Path, logs: Path) -> Iterator[Running]:
    """`beiyuan up` on a free port."""
    [port] = free_ports(1)
    process = Process("up", env=environment(home, BEIYUAN_PORT=str(port)), log=logs / "up.log")
    try:
        process.wait_for("answers on")
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url)
        yield Running(url, home, [process.log], one_process=True)
    finally:
        process.stop()


@contextmanager
def separate_processes(home: Path, logs: Path) -> Iterator[Running]:
    """`beiyuan database`, and `serve` with a process for each service and the gateway."""
    names = SERVICES
    port, *service_ports = free_ports(1 + len(names))
    holder = Process("database", env=environment(home), log=logs / "database.log")
    try:
        holder.wait_for("PostgreSQL runs")
        lines = (home / "database.env").read_text().splitlines()
        settings = {name: value.strip("'") for name, _, value in (line[7:].partition("=") for line in lines)}
        settings |= {
            f"BEIYUAN_{n.upper()}_URL": f"http://127.0.0.1:{p}" for n, p in zip(names, service_ports, strict=True)
        }
        settings |= {"BEIYUAN_PORT": str(port), "BEIYUAN_LOOPBACK_FACTOR": "1000"}
        settings.pop("BEIYUAN_HOME")
        env = environment(home, **settings)
        command("migrate", env=env)
        command("demo", "load", env=env)
        services = Process("serve", *names, "gateway", env=env, log=logs / "serve.log")
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url)
            yield Running(url, home, [services.log], one_process=False)
        finally:
            services.stop()
    finally:
        holder.stop()


def wait_until_ready(url: str) -> None:
    """Return when the gateway says that every service and its database are ready."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx2.get(f"{url}/readyz", trust_env=False, verify=False).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < deadline, f"{url} was not ready within {START_SECONDS} s"
        time.sleep(0.1)


def eventually(check: Any, *, seconds: float = SOON_SECONDS) -> Any:
    """What `check()` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.1)
    return result
