"""The key that signs the trees' heads, and the signed notes that it makes (C2SP signed-note and tlog-checkpoint).

A note is its text, an empty line, and one line for each signature: an em dash, the key's name, and in base64 the key's
id (4 bytes) with the signature of the text. Each ledger has a tree, and so a name, of its own.
"""

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chassis.core.keys import KeysMissing, read_key_file
from services.points.terms import LedgerName

FILE = "seals.points.json"
_ED25519 = b"\x01"
_NAME = re.compile(r"[!-*,-~]{1,100}")  # no spaces, no plus: a verifier's key is split by that


@dataclass(frozen=True, slots=True)
class SealKey:
    """The signing key, and the name of this installation in every head."""

    name: str
    private_key: Ed25519PrivateKey

    def origin(self, ledger: LedgerName) -> str:
        """The name of a ledger's tree: the first line of its heads, and the name of the key that signs them."""
        return f"{self.name}/{ledger}"

    def verifier(self, ledger: LedgerName) -> str:
        """The public key as verifiers take it: name, key id in hex, type and key in base64, joined by plus signs."""
        public = base64.b64encode(_ED25519 + self._public()).decode()
        return f"{self.origin(ledger)}+{self._id(self.origin(ledger)).hex()}+{public}"

    def checkpoint(self, ledger: LedgerName, size: int, root: bytes) -> str:
        """The signed head of a tree."""
        origin = self.origin(ledger)
        text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(self._id(origin) + self.private_key.sign(text.encode()))
        return f"{text}\n— {origin} {signature.decode()}\n"

    def _public(self) -> bytes:
        return self.private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def _id(self, origin: str) -> bytes:
        return hashlib.sha256(origin.encode() + b"\n" + _ED25519 + self._public()).digest()[:4]


def create_seal_key() -> str:
    """The content of the key file: a fresh key, and a name that no other installation has.

    The name may be changed to an address of one's own (`example.com/points`) before the first head is signed. Both
    stay as they are from then on: whoever checks heads knows them by these.
    """
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return json.dumps({"name": f"beiyuan/{secrets.token_hex(4)}", "private_key": pem.decode()})


def read_seal_key(folder: Path) -> SealKey:
    """The key. Raises KeysMissing."""
    path = folder / FILE
    content = read_key_file(path)
    name = content.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise KeysMissing(f"The key file {path} must hold a name of ASCII letters, without spaces and plus signs.")
    try:
        key = load_pem_private_key(str(content.get("private_key")).encode(), password=None)
    except ValueError as error:
        raise KeysMissing(f"The key file {path} holds no private key.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeysMissing(f"The key file {path} holds a key that is not Ed25519.")
    return SealKey(name, key)
