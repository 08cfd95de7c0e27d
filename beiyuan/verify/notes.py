"""Signed heads: C2SP signed notes (c2sp.org/signed-note) whose text is a checkpoint (c2sp.org/tlog-checkpoint)."""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_ED25519 = 1
_SIGNATURE_LINE = re.compile(r"— (\S+) (\S+)")


class NotSigned(Exception):
    """A head that none of the given keys has signed, or that is none at all; says why."""


@dataclass(frozen=True)
class Verifier:
    """A public key, under the name that it signs with."""

    name: str
    key_id: bytes
    key: Ed25519PublicKey

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """A key as it is written: name, key id in hex, type and key in base64, with plus signs between them.

        Raises ValueError.
        """
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise ValueError(f"{text!r} is no verifier's key (name+id+key)")
        name, key_id, encoded = parts[0], bytes.fromhex(parts[1]), base64.b64decode(parts[2], validate=True)
        if not encoded or encoded[0] != _ED25519:
            raise ValueError(f"the key of {name} is not an Ed25519 key")
        if hashlib.sha256(name.encode() + b"\n" + encoded).digest()[:4] != key_id:
            raise ValueError(f"the key of {name} does not have the id that it is given with")
        return cls(name, key_id, Ed25519PublicKey.from_public_bytes(encoded[1:]))


@dataclass(frozen=True)
class Head:
    """A head that was signed: the tree `origin` has `size` leaves that hash to `root`."""

    origin: str
    size: int
    root: bytes

    @property
    def ledger(self) -> str:
        """The ledger, which is the last part of the origin."""
        return self.origin.rpartition("/")[2]


def read_verifiers(given: str) -> list[Verifier]:
    """The keys of a file, one a line, or the one that is given itself. Raises ValueError, OSError."""
    if "+" in given and not Path(given).exists():
        return [Verifier.parse(given)]
    return [Verifier.parse(line) for line in Path(given).read_text(encoding="utf-8").splitlines() if line.strip()]


def open_head(note: object, verifiers: Sequence[Verifier]) -> Head:
    """The head that a note holds, once its signature stands. Raises NotSigned."""
    if not isinstance(note, str):
        raise NotSigned("there is no signed head")
    text, empty, signatures = note.rpartition("\n\n")
    if not empty or not signatures.endswith("\n"):
        raise NotSigned("the head is not a signed note")
    text += "\n"
    origin = text.split("\n", 1)[0]
    own = [verifier for verifier in verifiers if verifier.name == origin]
    if not own:
        raise NotSigned(f"no key is given for {origin!r}")
    if not any(is_signed(text, signatures.splitlines(), verifier) for verifier in own):
        raise NotSigned(f"the head is not signed by the key of {origin}")
    return _parse(text)


def is_signed(text: str, lines: Iterable[str], verifier: Verifier) -> bool:
    """Whether one of the signature lines is this key's. Raises NotSigned where it is, but wrong."""
    for line in lines:
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise NotSigned("a signature line of the head cannot be read")
        try:
            signature = base64.b64decode(match[2], validate=True)
        except ValueError:
            raise NotSigned("a signature of the head is not in base64") from None
        if match[1] != verifier.name or signature[:4] != verifier.key_id:
            continue
        try:
            verifier.key.verify(signature[4:], text.encode())
        except InvalidSignature:
            raise NotSigned(f"the head's signature by {verifier.name} is wrong") from None
        return True
    return False


def _parse(text: str) -> Head:
    lines = text.split("\n")
    if len(lines) != 4 or not re.fullmatch("0|[1-9][0-9]*", lines[1]):
        raise NotSigned("the head is not a checkpoint")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError:
        raise NotSigned("the head's root is not in base64") from None
    return Head(lines[0], int(lines[1]), root)
