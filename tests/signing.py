"""The partner protocol's signatures as a merchant's developer writes them, by the openssl command line."""

import secrets
from collections.abc import Callable, Mapping

import httpx2

from tests import openssl

RSA_SCHEME = "HHBY1-SHA256-RSA2048"


def authorization(
    sign: Callable[[bytes], str],
    method: str,
    target: str,
    content: bytes,
    *,
    mchid: str,
    serial_no: str,
    timestamp: int,
    nonce: str | None = None,
    scheme: str = RSA_SCHEME,
) -> str:
    """The Authorization header of a request. `sign` gives a message's signature in base64."""
    nonce = nonce or secrets.token_hex(16)
    message = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + content + b"\n"
    return (
        f'{scheme} mchid="{mchid}",nonce_str="{nonce}",signature="{sign(message)}",'
        f'timestamp="{timestamp}",serial_no="{serial_no}"'
    )


def is_signed(
    answer: httpx2.Response,
    platform_keys: Mapping[str, str],
    verifies: Callable[[str, bytes, str], bool] = openssl.verifies,
) -> bool:
    """Whether the platform signed this reply, with one of these keys (PEM by serial number)."""
    headers = answer.headers
    message = f"{headers['HHBY-Timestamp']}\n{headers['HHBY-Nonce']}\n".encode() + answer.content + b"\n"
    return verifies(platform_keys[headers["HHBY-Serial"]], message, headers["HHBY-Signature"])


def platform_keys_of(answer: httpx2.Response) -> dict[str, str]:
    """What `GET /merchant/v1/platform-keys` answered: the keys by serial number."""
    assert answer.status_code == 200, answer.text
    return {item["serial_no"]: item["public_key"] for item in answer.json()["keys"]}
