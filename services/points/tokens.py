"""What stands for a coupon's code for a few minutes: the coupon's id and when it is over, under a MAC. Pure."""

import base64
import hmac
from binascii import Error as Base64Error
from datetime import UTC, datetime

_ID_DIGITS, _TIME_DIGITS, _MAC_BYTES = 14, 10, 24


def make(key: bytes, holder: tuple[str, ...], coupon_id: str, expires_at: datetime) -> str:
    """A token that is good for this holder alone: who may show it, and where. Nothing is kept of it.

    Of `expires_at` only whole seconds are told.
    """
    said = f"{coupon_id}{int(expires_at.timestamp()):0{_TIME_DIGITS}d}".encode()
    return base64.urlsafe_b64encode(said + _mac(key, holder, said)).decode()


def read(key: bytes, holder: tuple[str, ...], token: str) -> tuple[str, datetime] | None:
    """The coupon's id, and when the token expires (which it may have); None where it was not made for this holder."""
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, Base64Error):
        return None
    said, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, holder, said)):
        return None
    return said[:_ID_DIGITS].decode(), datetime.fromtimestamp(int(said[_ID_DIGITS:]), UTC)


def _mac(key: bytes, holder: tuple[str, ...], said: bytes) -> bytes:
    bound = "".join(f"{part}\n" for part in holder).encode()
    return hmac.digest(key, bound + said, "sha256")[:_MAC_BYTES]
