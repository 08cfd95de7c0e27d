"""The platform's public keys: fetched when first needed, when a reply names one that is not known, and daily."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import httpx2

from beiyuan_merchant.signing import reply_message, verifies

_AGAIN_AFTER_SECONDS = 60.0
_DAY_SECONDS = 86_400.0


class PlatformKeys:
    """平台公钥 by serial number. `fetch` gets them; a merchant that was handed them passes them as `known`.

    They are trusted because they came over TLS, or from a contract: keep the address https but in tests.
    """

    def __init__(self, fetch: Callable[[], dict[str, str]], known: Mapping[str, str] | None = None) -> None:
        self._fetch = fetch
        self._trusted = dict(known or {})
        self._known = self._trusted
        self._fetched_at: float | None = None

    def signed(self, response: httpx2.Response, nonce: str) -> bool:
        """Whether this reply, to the request of this nonce, is the platform's. Raises httpx2.HTTPError."""
        headers = response.headers
        timestamp, signature = headers.get("HHBY-Timestamp", ""), headers.get("HHBY-Signature", "")
        if not timestamp or not signature or headers.get("HHBY-Nonce") != nonce:
            return False
        key = self._key(headers.get("HHBY-Serial", ""))
        return key is not None and verifies(key, reply_message(timestamp, nonce, response.content), signature)

    def _key(self, serial_no: str) -> str | None:
        if serial_no not in self._known:
            if self._older_than(_AGAIN_AFTER_SECONDS):
                self._renew()
        elif self._fetched_at is not None and self._older_than(_DAY_SECONDS):
            with suppress(httpx2.HTTPError):  # what is known is kept, and the next reply tries again
                self._renew()
        return self._known.get(serial_no)

    def _renew(self) -> None:
        self._known = self._trusted | self._fetch()  # a key that the platform shows no longer is out of use
        self._fetched_at = time.monotonic()  # a fetch that failed is made again for the next reply

    def _older_than(self, seconds: float) -> bool:
        """So that not every reply with a strange serial number, which anybody could send, has them fetched."""
        return self._fetched_at is None or time.monotonic() - self._fetched_at > seconds
