"""Keyset paging with opaque, signed cursors."""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from chassis.core.errors import FieldError, Invalid

_MAC_BYTES = 16


class InvalidCursor(Invalid):
    code = "invalid_cursor"
    title, title_zh = "The cursor does not belong to this list", "分页游标无效"


class Cursors:
    """Makes and reads cursors. A cursor carries the filters of its list: with other filters it is refused."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, filters: Mapping[str, Any], last: Sequence[str | int]) -> str:
        """A cursor that continues after the row whose sort key is `last` (strings and integers)."""
        body = json.dumps([filters, list(last)], sort_keys=True, separators=(",", ":"), default=str).encode()
        return base64.urlsafe_b64encode(self._sign(body) + body).decode().rstrip("=")

    def decode(self, cursor: str | None, filters: Mapping[str, Any]) -> list[str | int] | None:
        """The sort key to continue after, or None for the first page. Raises InvalidCursor."""
        if cursor is None:
            return None
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        except ValueError:
            raise _invalid() from None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._sign(body)):
            raise _invalid()
        made_with, last = json.loads(body)
        if made_with != json.loads(json.dumps(filters, default=str)):
            raise _invalid()
        return list(last)

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_MAC_BYTES]


def _invalid() -> InvalidCursor:
    return InvalidCursor(fields=[FieldError("query.cursor", "was not made by this list with these filters")])
