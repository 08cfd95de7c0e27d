"""Personal data at rest, and hashes of secrets.

A value is sealed with AES-256-GCM as `key id, nonce, ciphertext`; its context (`table.column:row id`) is bound in, so
that a sealed value moved to another row or column does not open. What must be searched is found by a keyed hash.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12


class CannotOpen(Exception):
    """A sealed value does not open: wrong key, wrong place, or altered."""


@dataclass(frozen=True)
class DataKeys:
    """A service's keys for data at rest: `current` seals, each of `keys` opens, `lookup` makes searchable hashes."""

    current: str
    keys: Mapping[str, bytes]
    lookup: bytes

    @classmethod
    def generate(cls) -> "DataKeys":
        """Fresh random keys."""
        return cls(current="k1", keys={"k1": secrets.token_bytes(32)}, lookup=secrets.token_bytes(32))

    @classmethod
    def read(cls, path: Path) -> "DataKeys":
        """Keys from a JSON file written by `dump`."""
        data = json.loads(path.read_text(encoding="utf-8"))
        keys = {name: base64.b64decode(key) for name, key in data["keys"].items()}
        return cls(current=data["current"], keys=keys, lookup=base64.b64decode(data["lookup"]))

    def dump(self) -> str:
        """As JSON. A new key is added under a new id and named `current`; the old ones stay until nothing uses them."""
        keys = {name: base64.b64encode(key).decode() for name, key in self.keys.items()}
        return json.dumps({"current": self.current, "keys": keys, "lookup": base64.b64encode(self.lookup).decode()})


class Vault:
    """Seals and opens what only this service may read."""

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys
        self._ciphers = {name: AESGCM(key) for name, key in keys.keys.items()}
        self._lookup = hmac.new(keys.lookup, digestmod="sha256")  # a copy costs a third of a new one

    def seal(self, value: str, context: str) -> bytes:
        """Encrypt `value`. `context` names where it lies, e.g. `person.phone:<id>`, and is needed to open it."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        name = self._keys.current
        body = self._ciphers[name].encrypt(nonce, value.encode(), context.encode())
        return bytes([len(name)]) + name.encode() + nonce + body

    def open(self, sealed: bytes, context: str) -> str:
        """Decrypt what `seal` made with the same context. Raises CannotOpen."""
        try:
            size = sealed[0]
            name = sealed[1 : 1 + size].decode()
            nonce = sealed[1 + size : 1 + size + _NONCE_BYTES]
            body = sealed[1 + size + _NONCE_BYTES :]
            return self._ciphers[name].decrypt(nonce, body, context.encode()).decode()
        except (InvalidTag, KeyError, IndexError, ValueError) as error:
            raise CannotOpen(f"the value sealed for {context.split(':')[0]} does not open") from error

    def fingerprint(self, value: str, purpose: str) -> bytes:
        """A keyed hash (32 bytes) by which an equal value can be found again, within one purpose (`phone`)."""
        found = self._lookup.copy()
        found.update(f"{purpose}\0{value}".encode())
        return found.digest()

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for another use (cursors, sampling), from the lookup key."""
        return HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(self._keys.lookup)


def token_hash(token: str) -> bytes:
    """What is stored of a random token of 128 bits or more: SHA-256 suffices, since it cannot be guessed."""
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    """128 random bits, safe in a URL, 22 characters."""
    return secrets.token_urlsafe(16)


def mask_name(name: str) -> str:
    """张三丰 → 张**: what may be shown to others."""
    return name[:1] + "*" * max(1, len(name) - 1) if name else ""


def mask_phone(phone: str) -> str:
    """13812341234 → 138****1234."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 8 else "****"
