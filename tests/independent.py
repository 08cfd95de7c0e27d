"""Signatures by PyCryptodome: it has nothing in common with the implementation under test, nor with openssl."""

import base64
from functools import cache

from Crypto.Hash import SHA256
from Crypto.PublicKey import ECC, RSA
from Crypto.Signature import eddsa, pkcs1_15


def sign(private_key_pem: str, message: bytes) -> str:
    """The base64 signature of `message`: RSA PKCS#1 v1.5 with SHA-256, or Ed25519, as the key is."""
    key = _key(private_key_pem)
    if isinstance(key, RSA.RsaKey):
        signature = pkcs1_15.new(key).sign(SHA256.new(message))
    else:
        signature = eddsa.new(key, "rfc8032").sign(message)
    return base64.b64encode(signature).decode()


def verifies(public_key_pem: str, message: bytes, signature: str) -> bool:
    """Whether `signature` (base64) is the key holder's over `message`."""
    key, raw = _key(public_key_pem), base64.b64decode(signature, validate=True)
    try:
        if isinstance(key, RSA.RsaKey):
            pkcs1_15.new(key).verify(SHA256.new(message), raw)
        else:
            eddsa.new(key, "rfc8032").verify(message, raw)
    except ValueError:
        return False
    return True


@cache
def _key(pem: str) -> RSA.RsaKey | ECC.EccKey:
    try:
        return RSA.import_key(pem)
    except (ValueError, IndexError, TypeError):
        return ECC.import_key(pem)
