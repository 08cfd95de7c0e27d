"""The keys that the platform signs its replies with: a file among the key files, the current key and the next."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chassis.core.keys import KeysMissing, read_key_file

FILE = "merchant-platform.json"
_BITS = 2048


class KeyStatus(StrEnum):
    """Replies are signed with the current key. The next one is shown early, so that merchants know it in time."""

    CURRENT = "current"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """A key pair of the platform's; `serial_no` is made of its public half."""

    private_key: RSAPrivateKey
    public_key: str
    serial_no: str
    status: KeyStatus


def create_platform_keys() -> str:
    """The content of the key file: two fresh RSA keys. To change over, the second is put first and a new one added."""
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=_BITS) for _ in KeyStatus]
    pems = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() for key in keys]
    return json.dumps({"private_keys": pems})


def read_platform_keys(folder: Path) -> Sequence[PlatformKey]:
    """The current key and the next. Raises KeysMissing."""
    path = folder / FILE
    pems = read_key_file(path).get("private_keys")
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
