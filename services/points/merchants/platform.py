"""The keys that the platform signs its replies with: a file among the key files, the current key and the next.

Merchants are shown both, so that they know the next one before anything is signed with it. To change over, the next one
takes the place of the current and a fresh one its own; running services notice it by the file.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chassis.core import clock
from chassis.core.keys import KeysMissing, locked, read_key_file, write_key_file

log = structlog.get_logger(__name__)

FILE = "merchant-platform.json"
NEXT_SHOWN_FOR = timedelta(days=2)
"""How long a key must have been shown as the next one: merchants are asked to fetch the keys once a day."""
_BITS = 2048


class KeyStatus(StrEnum):
    """Replies are signed with the current key. The next one is shown early, so that merchants know it in time."""

    CURRENT = "current"
    NEXT = "next"


class ShownTooBriefly(Exception):
    """The next key has not been shown for long enough to be taken into use."""


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """A key pair of the platform's; `serial_no` is made of its public half."""

    private_key: RSAPrivateKey
    public_key: str
    serial_no: str
    status: KeyStatus


class PlatformKeys:
    """The keys of a folder as they are now: they are read again whenever their file has changed."""

    def __init__(self, folder: Path) -> None:
        """Raises KeysMissing."""
        self._folder = folder
        self._seen = self._stamp()
        self._keys = read_platform_keys(folder)

    def both(self) -> Sequence[PlatformKey]:
        """The current key and the next. A file that cannot be read leaves them as they are."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._keys = read_platform_keys(self._folder)
            except KeysMissing as error:
                log.error("platform_keys_unreadable", reason=str(error))
        return self._keys

    @property
    def current(self) -> PlatformKey:
        """The one that signs."""
        return next(key for key in self.both() if key.status is KeyStatus.CURRENT)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = (self._folder / FILE).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns


def create_platform_keys() -> str:
    """The content of the key file: two fresh RSA keys."""
    return _content([_fresh(), _fresh()], changed_at=clock.now(), retired=[])


def read_platform_keys(folder: Path) -> Sequence[PlatformKey]:
    """The current key and the next. Raises KeysMissing."""
    return _keys(folder / FILE, read_key_file(folder / FILE))


def rotate_platform_keys(folder: Path, *, at_once: bool = False) -> Sequence[PlatformKey]:
    """Sign with the next key from now on, and have a fresh one follow it; what there is then.

    The public half of the one that signed until now stays in the file under `retired`, to prove by what it signed; its
    private half is gone. Raises KeysMissing; ShownTooBriefly, unless it is to be done `at_once`.
    """
    path = folder / FILE
    with locked(folder):
        content = read_key_file(path)
        current, following = _keys(path, content)
        at = clock.now()
        if not at_once and (changed := content.get("changed_at")):
            earliest = datetime.fromisoformat(changed) + NEXT_SHOWN_FOR
            if at < earliest:
                raise ShownTooBriefly(f"The next key has been shown since {changed} only; it may sign from {earliest}.")
        gone = {"serial_no": current.serial_no, "public_key": current.public_key, "retired_at": at.isoformat()}
        keys = [following.private_key, _fresh()]
        retired = [*content.get("retired", []), gone]
        write_key_file(path, _content(keys, changed_at=at, retired=retired))
        return read_platform_keys(folder)


def _keys(path: Path, content: dict[str, Any]) -> list[PlatformKey]:
    pems = content.get("private_keys")
    if not isinstance(pems, list) or len(pems) != len(KeyStatus):
        raise KeysMissing(f"The key file {path} must hold two private keys: the current one and the next.")
    return [_key(path, pem, status) for pem, status in zip(pems, KeyStatus, strict=True)]


def _key(path: Path, pem: object, status: KeyStatus) -> PlatformKey:
    try:
        key = load_pem_private_key(str(pem).encode(), password=None)
    except ValueError as error:
        raise KeysMissing(f"The key file {path} holds something that is no private key.") from error
    if not isinstance(key, RSAPrivateKey):
        raise KeysMissing(f"The key file {path} holds a key that is not RSA.")
    public = key.public_key()
    digest = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return PlatformKey(
        key,
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        digest.hexdigest()[:40].upper(),
        status,
    )


def _fresh() -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_BITS)


def _content(keys: Sequence[RSAPrivateKey], *, changed_at: datetime, retired: Sequence[object]) -> str:
    pems = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() for key in keys]
    return json.dumps({"private_keys": pems, "changed_at": changed_at.isoformat(), "retired": retired})
