"""Signatures by the openssl command line: another implementation than the one under test."""

import base64
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory


def sign(private_key_pem: str, message: bytes) -> str:
    """The base64 signature of `message`: RSA PKCS#1 v1.5 with SHA-256."""
    with TemporaryDirectory() as folder:
        key = Path(folder) / "key.pem"
        key.touch(mode=0o600)
        key.write_text(private_key_pem)
        signature = _openssl("dgst", "-sha256", "-sign", str(key), stdin=message)
    return base64.b64encode(signature).decode()


def verifies(public_key_pem: str, message: bytes, signature: str) -> bool:
    """Whether `signature` (base64; RSA PKCS#1 v1.5 with SHA-256) is the key holder's over `message`."""
    with TemporaryDirectory() as folder:
        key, file = Path(folder) / "key.pem", Path(folder) / "signature"
        key.write_text(public_key_pem)
        file.write_bytes(base64.b64decode(signature))
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-verify", str(key), "-signature", str(file)],
            input=message,
            capture_output=True,
            timeout=180,
            check=False,
        )
    return done.returncode == 0 and b"Verified OK" in done.stdout


def new_rsa_key() -> tuple[str, str]:
    """A fresh RSA-2048 key: the private and the public half, as PEM."""
    private = _openssl("genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    return private.decode(), _openssl("pkey", "-pubout", stdin=private).decode()


def sign_ed25519(private_key_pem: str, message: bytes) -> str:
    """The base64 signature of `message`: Ed25519."""
    with TemporaryDirectory() as folder:
        key, file = Path(folder) / "key.pem", Path(folder) / "message"
        key.touch(mode=0o600)
        key.write_text(private_key_pem)
        file.write_bytes(message)
        signature = _openssl("pkeyutl", "-sign", "-rawin", "-inkey", str(key), "-in", str(file))
    return base64.b64encode(signature).decode()


def verifies_ed25519(public_key_pem: str, message: bytes, signature: str) -> bool:
    """Whether `signature` (base64; Ed25519) is the key holder's over `message`."""
    with TemporaryDirectory() as folder:
        key, signed, file = (Path(folder) / name for name in ("key.pem", "message", "signature"))
        key.write_text(public_key_pem)
        signed.write_bytes(message)
        file.write_bytes(base64.b64decode(signature))
        files = ["-inkey", str(key), "-in", str(signed), "-sigfile", str(file)]
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", *files],
            capture_output=True,
            timeout=180,
            check=False,
        )
    return done.returncode == 0 and b"Verified Successfully" in done.stdout


def new_ed25519_key() -> tuple[str, str]:
    """A fresh Ed25519 key: the private and the public half, as PEM."""
    private = _openssl("genpkey", "-algorithm", "ED25519")
    return private.decode(), _openssl("pkey", "-pubout", stdin=private).decode()


def new_private_key(algorithm: str, *options: str) -> str:
    """A fresh private key of any algorithm that openssl knows, as PEM."""
    arguments = [argument for option in options for argument in ("-pkeyopt", option)]
    return _openssl("genpkey", "-quiet", "-algorithm", algorithm, *arguments).decode()


def public_half(private_key_pem: str) -> str:
    """The public half of a private key, as PEM."""
    return _openssl("pkey", "-pubout", stdin=private_key_pem.encode()).decode()


def self_signed(host: str, folder: Path) -> tuple[Path, Path]:
    """Files with a certificate for `host` that nobody vouches for, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    made = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    _openssl("req", "-x509", *made, "-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}")
    return certificate, key


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """The HMAC of `message`."""
    return _openssl("dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key.hex()}", "-binary", stdin=message)


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
