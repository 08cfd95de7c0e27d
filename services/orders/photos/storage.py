"""Where photos are kept. Blocking: callers run it in a thread."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Protocol


class PhotoStorage(Protocol):
    """A store of named files. A key is lower-case letters, digits, `-` and `.`; a file never changes once written."""

    def write(self, key: str, content: bytes) -> None:
        """Keep a file: after a crash it is there whole or not at all."""

    def read(self, key: str) -> bytes:
        """Raises FileNotFoundError."""

    def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""


class LocalFolder:
    """Photos in a folder of this machine, spread over 256 subfolders by the beginning of their key."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, key: str, content: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{secrets.token_hex(8)}")
        try:
            with fresh.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()

    def read(self, key: str) -> bytes:
        return self._path(key).read_bytes()

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not key.isascii() or not key.replace("-", "").replace(".", "").isalnum() or key.startswith("."):
            raise ValueError("not a key of a photo")
        return self._root / key[:2] / key
