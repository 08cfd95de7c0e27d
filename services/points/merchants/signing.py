"""Signatures: how they are written in headers, what they are over, how they are made and checked. Pure.

The algorithms are `cryptography`'s; the order of the checks is the door's.
"""

import base64
import re
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from services.points.merchants.errors import KeyNotAcceptable, SignError
from services.points.merchants.terms import SCHEMES, Algorithm

_LONGEST: Final = 2048
_RSA_BITS: Final = (2048, 4096)
_FIELD = r'([a-z_]+)="([^"\\]*)"'
_LIST = re.compile(rf"{_FIELD}(?:, *{_FIELD})*")
_FORMS = {
    "mchid": re.compile("[0-9]{10}"),
    "nonce_str": re.compile(r"[!#-\[\]-~]{16,32}"),  # visible ASCII but the quote and the backslash
    "signature": re.compile("[A-Za-z0-9+/]{4,1400}={0,2}"),
    "timestamp": re.compile("[1-9][0-9]{0,11}"),
    "serial_no": re.compile("[A-Za-z0-9_-]{1,64}"),
}

PublicKey = RSAPublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an Authorization header says. `timestamp` is in seconds since 1970."""

    algorithm: Algorithm
    mchid: str
    serial_no: str
    nonce: str
    timestamp: int
    signature: bytes


def bears_signature(headers: Sequence[bytes]) -> bool:
    """Whether any of the Authorization headers is meant as one of our schemes."""
    return any(header[:6].upper() == b"HHBY1-" for header in headers)


def read_authorization(headers: Sequence[bytes]) -> Credentials:
    """The one Authorization header: a scheme's exact name, then each of five fields once, quoted, in any order.

    Raises SignError saying, in both languages, what is wrong with its form.
    """
    if len(headers) != 1:
        raise SignError("须有且仅有一个Authorization请求头 Exactly one Authorization header is needed.")
    text = headers[0].decode("latin-1")
    scheme, _, rest = text.partition(" ")
    algorithm = SCHEMES.get(scheme)
    if algorithm is None:
        raise SignError(f"签名方案须为{'、'.join(SCHEMES)}之一 The scheme must be one of these.")
    if len(text) > _LONGEST or not _LIST.fullmatch(rest):
        raise SignError('方案名之后须为以逗号分隔的name="value" After the scheme: name="value", separated by commas.')
    pairs = re.findall(_FIELD, rest)
    fields = dict(pairs)
    if fields.keys() != _FORMS.keys() or len(pairs) != len(_FORMS):
        raise SignError(f"须有{'、'.join(_FORMS)}，各出现一次 These fields are needed, each once.")
    for name, form in _FORMS.items():
        if not form.fullmatch(fields[name]):
            raise SignError(f"{name}的格式不对 The field {name} is not of the form {form.pattern}")
    try:
        signature = base64.b64decode(fields["signature"], validate=True)
    except Base64Error:
        raise SignError("signature不是Base64 The field signature is not base64.") from None
    return Credentials(
        algorithm, fields["mchid"], fields["serial_no"], fields["nonce_str"], int(fields["timestamp"]), signature
    )


def request_message(method: str, raw_path: bytes, query: bytes, timestamp: int, nonce: str, body: bytes) -> bytes:
    """What a request's signature is over: the raw bytes as they reached the edge. An empty query has no `?`."""
    target = raw_path + b"?" + query if query else raw_path
    return b"\n".join([method.encode(), target, str(timestamp).encode(), nonce.encode(), body, b""])


def reply_message(timestamp: int, nonce: str, body: bytes) -> bytes:
    """What a reply's signature is over."""
    return b"\n".join([str(timestamp).encode(), nonce.encode(), body, b""])


def verify(public_key: str, algorithm: Algorithm, message: bytes, signature: bytes) -> None:
    """Raises SignError unless `signature` is by this key (PEM), over this message."""
    key = load_public_key(public_key, algorithm)
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, message, PKCS1v15(), SHA256())
        else:
            key.verify(signature, message)
    except InvalidSignature:
        raise SignError from None


def sign(key: RSAPrivateKey, message: bytes) -> str:
    """The base64 signature of a reply: PKCS#1 v1.5 with SHA-256."""
    return base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def check_key(serial_no: str, public_key: str, algorithm: Algorithm) -> None:
    """Raises KeyNotAcceptable unless the key can be put on record under this serial number."""
    if not _FORMS["serial_no"].fullmatch(serial_no):
        raise KeyNotAcceptable(f"序列号的格式不对 A serial number has the form {_FORMS['serial_no'].pattern}")
    load_public_key(public_key, algorithm)


@lru_cache(maxsize=1024)
def load_public_key(pem: str, algorithm: Algorithm) -> PublicKey:
    """A public key (SubjectPublicKeyInfo as PEM) for this algorithm; RSA of 2048 to 4096 bits.

    Raises KeyNotAcceptable.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyNotAcceptable("不是PEM格式的公钥 It is not a public key as PEM (SubjectPublicKeyInfo).") from error
    if algorithm is Algorithm.ED25519 and isinstance(key, Ed25519PublicKey):
        return key
    if algorithm is Algorithm.RSA and isinstance(key, RSAPublicKey):
        if not _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
            raise KeyNotAcceptable(f"RSA密钥须为{_RSA_BITS[0]}至{_RSA_BITS[1]}位 An RSA key must have so many bits.")
        return key
    raise KeyNotAcceptable(f"不是{algorithm}的公钥 It is not a key for {algorithm}.")
