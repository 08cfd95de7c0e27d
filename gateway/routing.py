"""Which service a path belongs to.

The decision is made on the same decoded path that the services route by, and every spelling that some program on
the way might read as another path (`..`, `//`, an encoded slash, a backslash) is nobody's: there is no such page.
"""

import re
from urllib.parse import quote

from starlette.types import Scope

# Written by prefix, longest first where one lies within another.
TABLE: dict[str, str] = {
    "/api/identity": "identity",
    "/api/orders": "orders",
    "/api/events": "events",
    "/api/points": "points",
    "/merchant/v1": "points",
}
SERVICES = tuple(dict.fromkeys(TABLE.values()))

# The partner protocol's: signed requests of programs. What merchants are told has a form of its own.
MERCHANT = "/merchant/v1"

# What is sent here may be photos, and so larger and slower than other requests.
UPLOADS = re.compile(r"POST (/api/orders/photos|/q/[^/]+|/t/[^/]+/additions)")

# Where a token is of no use, so that an app which sends its expired one along can still get another.
TOKENLESS = frozenset(
    {
        "/api/identity/otp",
        "/api/identity/tokens",
        "/api/identity/tokens/refresh",
        "/api/identity/tokens/revoke",
        "/api/identity/.well-known/jwks.json",
        "/api/identity/privacy-notice",
    }
)

_AMBIGUOUS = re.compile(
    rb"//"  # empty segments
    rb"|/(\.|%2e){1,2}(/|;|$)"  # dot segments, plain or encoded
    rb"|\\|%5c|%2f"  # backslashes and encoded slashes
    rb"|[\x00-\x20\x7f-\xff]|%[01]|%7f"  # controls, spaces, and what is not ASCII
    rb"|%25",  # an encoded percent sign: something to be decoded twice
    re.IGNORECASE,
)

_BREAKING = re.compile(rb"[\x00-\x20\x7f]")


def raw_path(scope: Scope) -> bytes:
    """The path as it was sent."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw


def is_plain(scope: Scope) -> bool:
    """Whether the path can be read in one way only, and the query holds nothing that would end a request line."""
    raw = raw_path(scope)
    return raw.startswith(b"/") and not _AMBIGUOUS.search(raw) and not _BREAKING.search(scope["query_string"])


def service_of(path: str) -> str | None:
    """The service that a decoded path belongs to, or None: then it is the gateway's own, or nobody's."""
    for prefix, service in TABLE.items():
        if path == prefix or path.startswith(prefix + "/"):
            return service
    return None


def is_merchant(path: str) -> bool:
    """Whether a decoded path lies where merchants call."""
    return path == MERCHANT or path.startswith(MERCHANT + "/")


def is_upload(method: str, path: str) -> bool:
    """Whether the request may carry photos."""
    return UPLOADS.fullmatch(f"{method} {path}") is not None
