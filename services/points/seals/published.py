"""Heads outside the database: one file a ledger that only ever grows, since a head kept by the owner of the database
alone proves nothing against the owner. Copy it to where others keep it, as often as you like.

Each line is a JSON object: `checkpoint`, the signed note, and `signed_at`.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from services.points.terms import LedgerName

_TAIL_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Published:
    """A head as it stands in the file."""

    signed_at: datetime
    size: int
    root: str
    """In base64."""
    checkpoint: str


def path_of(folder: Path, ledger: LedgerName) -> Path:
    """The file of a ledger's heads."""
    return folder / f"{ledger}.jsonl"


def last(folder: Path, ledger: LedgerName) -> Published | None:
    """The head that was published last, if one was."""
    try:
        with path_of(folder, ledger).open("rb") as file:
            return _last(file)
    except FileNotFoundError:
        return None


def publish(folder: Path, ledger: LedgerName, heads: Sequence[tuple[datetime, str]]) -> None:
    """Append heads (when each was signed, and its note), but for those that are no larger than the last one there.

    Several processes may do this at once. What was written is on the disk when this returns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with path_of(folder, ledger).open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        there = _last(file)
        size = there.size if there else -1
        lines = [_line(*head) for head in heads if _size(head[1]) > size]
        if not lines:
            return
        file.seek(0, os.SEEK_END)
        if file.tell() and not _ends_whole(file):
            lines.insert(0, b"\n")  # the line before was cut off by a crash; it stays as it is
        file.write(b"".join(lines))
        file.flush()
        os.fsync(file.fileno())


def _line(signed_at: datetime, checkpoint: str) -> bytes:
    signed = signed_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.dumps({"checkpoint": checkpoint, "signed_at": signed}, ensure_ascii=False).encode() + b"\n"


def _last(file: IO[bytes]) -> Published | None:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL_BYTES))
    for line in reversed(file.read().split(b"\n")[:-1]):  # what does not end in a newline was cut off
        try:
            data = json.loads(line)
            _, size, root, *_ = str(data["checkpoint"]).split("\n")
            return Published(datetime.fromisoformat(data["signed_at"]), int(size), root, data["checkpoint"])
        except (ValueError, KeyError, TypeError):
            continue
    return None


def _ends_whole(file: IO[bytes]) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _size(checkpoint: str) -> int:
    return int(checkpoint.split("\n", 2)[1])
