"""As whom PostgreSQL runs. It refuses root, so root needs another way; which one works is found by trying."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from beiyuan.postgres.binaries import Binaries
from beiyuan.postgres.errors import PostgresError

CHILD = Path(__file__).with_name("child.py")
UNPRIVILEGED_USERS = ("postgres", "nobody")
TRIAL_LIMIT = 20  # seconds


@dataclass(frozen=True)
class Account:
    """One way of running PostgreSQL, and the owner that its files then have."""

    name: str
    mode: str
    """What `child.py` is told: `same`, `namespace:UID`, `user:UID:GID`."""
    uid: int
    gid: int

    def command(self, folder: Path, *command: str | Path, death_signal: signal.Signals) -> list[str]:
        """The command line that runs `command` in `folder` as this account.

        The program gets `death_signal` when the thread that started it ends (Linux), however it ends.
        """
        python = [sys.executable, "-I", "-S", str(CHILD)]
        life = [str(os.getpid()), str(int(death_signal))]
        return [*python, *life, self.mode, str(folder), *map(str, command)]


def usable_account(binaries: Binaries, folder: Path) -> Account:
    """The first account that can run these programs in this folder (which exists).

    Raises `PostgresError` with the reason for each way that was tried.
    """
    reasons = []
    for account in _candidates():
        reason = _obstacle(account, binaries, folder)
        if reason is None:
            return account
        reasons.append(f"  - as {account.name}: {reason}")
    tried = "\n".join(reasons)
    raise PostgresError(
        f"PostgreSQL cannot be run here (it never runs as root itself):\n{tried}\n"
        "Start 和谐北苑 as an ordinary user who can reach its programs and its data; or set BEIYUAN_HOME "
        "(data) and BEIYUAN_PG_BIN (programs) to folders that one of the users above can reach."
    )


def program_environment() -> dict[str, str]:
    """The environment for PostgreSQL's programs: no PG* setting of the caller, messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _candidates() -> Iterator[Account]:
    uid, gid = os.geteuid(), os.getegid()
    known = {user.pw_uid for user in pwd.getpwall()}
    if uid != 0 and uid in known:
        yield Account("the present user", "same", uid, gid)
        return
    # Root, or a user without a name (as containers have them), whom initdb refuses too. In a namespace,
    # PostgreSQL believes itself to be an ordinary user that has a name.
    if sys.platform == "linux":
        inner = min(known - {0}, default=1000)
        yield Account(f"user {uid} under another name (a user namespace)", f"namespace:{inner}", uid, gid)
    for name in UNPRIVILEGED_USERS if uid == 0 else ():
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        yield Account(f"the user {name}", f"user:{user.pw_uid}:{user.pw_gid}", user.pw_uid, user.pw_gid)


def _obstacle(account: Account, binaries: Binaries, folder: Path) -> str | None:
    """Why this account is of no use; None when a trial run succeeds."""
    command = account.command(folder, binaries.postgres, "--version", death_signal=signal.SIGKILL)
    try:
        trial = subprocess.run(
            command,
            env=program_environment(),
            capture_output=True,
            text=True,
            timeout=TRIAL_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer from {binaries.postgres} within {TRIAL_LIMIT} seconds"
    if trial.returncode == 0:
        return None
    return trial.stderr.strip() or f"{binaries.postgres} ended with status {trial.returncode}"
