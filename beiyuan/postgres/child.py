"""The program that becomes PostgreSQL: changes who it is, ties its life to its parent's, then executes.

Run by file name in a Python of its own (see `account.command`), not imported: what it does is only allowed
in a process with a single thread, and must not touch the process that asked. Uses the standard library only.

    python child.py PARENT DEATH_SIGNAL ACCOUNT FOLDER PROGRAM [ARGUMENT…]

ACCOUNT is `same`, `namespace:UID` or `user:UID:GID`. A failure is one line on stderr and exit status 125.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

FAILED = 125
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, death_signal, account, folder, *command = arguments
    kind, *ids = account.split(":")
    if kind == "namespace":
        enter_namespace(int(ids[0]))
    elif kind == "user":
        become_user(int(ids[0]), int(ids[1]))
    # What Python has changed for itself must not reach PostgreSQL.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Only now: the kernel forgets the death signal when a process changes who it is.
    if sys.platform == "linux":
        libc("prctl", PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent):
        sys.exit(FAILED)  # the parent died before it could be asked to tell
    try:
        os.chdir(folder)
    except OSError as error:
        raise OSError(f"cannot reach the folder {folder} ({error.strerror})") from error
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise OSError(f"cannot run {command[0]} ({error.strerror})") from error


def enter_namespace(inner: int) -> None:
    """Be the user `inner` in a namespace of one; seen from outside, files and processes stay the caller's."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        libc("unshare", CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")  # the kernel asks for it before a gid_map
        Path("/proc/self/uid_map").write_text(f"{inner} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{inner} {gid} 1")
    except OSError as error:
        raise OSError(f"user namespaces are not allowed here ({error.strerror})") from error


def become_user(uid: int, gid: int) -> None:
    """Give up root for good."""
    try:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    except OSError as error:
        raise OSError(f"may not change to user {uid} ({error.strerror})") from error


def libc(function: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*map(ctypes.c_ulong, arguments)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(FAILED)
