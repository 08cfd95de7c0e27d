"""Signatures: what they are over, how they are written, made and checked. No I/O but reading a key file."""

import base64
import secrets
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from beiyuan_merchant.errors import NotUsable

RSA_SCHEME = "HHBY1-SHA256-RSA2048"
ED25519_SCHEME = "HHBY1-ED25519"


@dataclass(frozen=True, slots=True)
class Key:
    """A merchant's private key, RSA (PKCS#1 v1.5 with SHA-256) or Ed25519, and the serial number it is on record by."""

    private: RSAPrivateKey | Ed25519PrivateKey
    serial_no: str

    @classmethod
    def load(cls, path: str | Path, *, serial_no: str, password: bytes | None = None) -> "Key":
        """The key in a PEM file. Raises NotUsable where it is none, and OSError where there is no such file."""
        return cls.of_pem(Path(path).read_bytes(), serial_no=serial_no, password=password)

    @classmethod
    def of_pem(cls, pem: bytes, *, serial_no: str, password: bytes | None = None) -> "Key":
        """The same of a PEM text."""
        try:
            private = load_pem_private_key(pem, password)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise NotUsable(f"not a private key as PEM: {error}") from error
        if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
            raise NotUsable("neither an RSA key nor an Ed25519 key")
        return cls(private, serial_no)

    @property
    def scheme(self) -> str:
        """What the Authorization header begins with."""
        return RSA_SCHEME if isinstance(self.private, RSAPrivateKey) else ED25519_SCHEME

    def sign(self, message: bytes) -> str:
        """The signature over `message`, in base64."""
        if isinstance(self.private, RSAPrivateKey):
            raw = self.private.sign(message, PKCS1v15(), SHA256())
        else:
            raw = self.private.sign(message)
        return base64.b64encode(raw).decode()


def new_nonce() -> str:
    """随机串: 32 characters that no request had before. A retry takes a new one."""
    return secrets.token_hex(16)


def request_message(method: str, target: str, timestamp: int, nonce: str, body: bytes) -> bytes:
    """签名串 of a request. `target` is the path, and where there is a query `?` and the query, as they are sent."""
    return f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def reply_message(timestamp: str, nonce: str, body: bytes) -> bytes:
    """签名串 of a reply, its body as it was received."""
    return f"{timestamp}\n{nonce}\n".encode() + body + b"\n"


def authorization(key: Key, mchid: str, method: str, target: str, body: bytes, *, timestamp: int, nonce: str) -> str:
    """The Authorization header of a request."""
    signature = key.sign(request_message(method, target, timestamp, nonce, body))
    return (
        f'{key.scheme} mchid="{mchid}",nonce_str="{nonce}",signature="{signature}",'
        f'timestamp="{timestamp}",serial_no="{key.serial_no}"'
    )


def verifies(public_key_pem: str, message: bytes, signature: str) -> bool:
    """Whether `signature` (base64) is over `message`, by the holder of this public key."""
    try:
        key, raw = load_pem_public_key(public_key_pem.encode()), base64.b64decode(signature, validate=True)
        match key:
            case RSAPublicKey():
                key.verify(raw, message, PKCS1v15(), SHA256())
            case Ed25519PublicKey():
                key.verify(raw, message)
            case _:
                return False
    except (InvalidSignature, Base64Error, ValueError, UnsupportedAlgorithm):
        return False
    return True
