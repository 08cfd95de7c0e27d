"""What of a message's headers may pass the edge, and what the edge adds."""

from collections.abc import Iterable
from functools import lru_cache

Headers = list[tuple[bytes, bytes]]

# RFC 9110, 7.6.1, with the older Keep-Alive and Proxy-Connection: they speak of one connection, not of the message.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-authentication-info",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)

# What nobody outside may tell the services: who is asking and from where. The gateway alone says so.
_IDENTITY_PREFIXES = (b"x-beiyuan-", b"x-user-", b"x-actor", b"x-forwarded-", b"x-original-", b"x-rewrite-")
_IDENTITY = frozenset({b"forwarded", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"x-user", b"via"})
# `Expect` has been answered by our own server; the other two are set anew for every request.
_NOT_PASSED_ON = HOP_BY_HOP | {b"expect", b"x-request-id", b"traceparent"}

# Connection may name further headers to drop, but not these: dropping them would change what the message means.
_NEVER_NAMED = frozenset({b"host", b"content-length", b"content-type", b"authorization", b"content-encoding"})

# `Server` tells attackers what runs here, `Date` is set by our own server.
_NOT_PASSED_BACK = HOP_BY_HOP | {b"server", b"date", b"x-powered-by", b"x-request-id", b"traceparent", b"tracestate"}

_API_POLICY = b"default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    b"form-action 'self'; frame-ancestors 'none'"
)
_ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=()"),
]
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            named.update(token.strip().lower() for token in value.split(b","))
    return named - _NEVER_NAMED


@lru_cache(maxsize=1024)
def _is_identity(name: bytes) -> bool:
    # Some programs take `_` for `-`.
    plain = name.replace(b"_", b"-")
    return plain in _IDENTITY or plain.startswith(_IDENTITY_PREFIXES)


def inbound(headers: Headers, *, keep_tracestate: bool) -> Headers:
    """What of a client's headers (names in lower case) goes on to a service."""
    dropped = _NOT_PASSED_ON
    if named := _named_by_connection(headers):
        dropped = dropped | named
    if not keep_tracestate:
        dropped = dropped | {b"tracestate"}
    return [(name, value) for name, value in headers if name not in dropped and not _is_identity(name)]


def outbound(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """What of a service's headers goes back to the client."""
    lower = [(name.lower(), value) for name, value in headers]
    dropped = _NOT_PASSED_BACK
    if named := _named_by_connection(lower):
        dropped = dropped | named
    return [(name, value) for name, value in lower if name not in dropped and not name.startswith(b"x-beiyuan-")]


def with_security(headers: Headers, *, https: bool) -> Headers:
    """The headers of an answer with the protective ones added that it does not set itself."""
    present = dict(headers)
    added = [(name, value) for name, value in _ALWAYS if name not in present]
    if b"content-security-policy" not in present:
        html = present.get(b"content-type", b"").startswith(b"text/html")
        added.append((b"content-security-policy", _PAGE_POLICY if html else _API_POLICY))
    if https and _HTTPS_ONLY[0] not in present:
        added.append(_HTTPS_ONLY)
    return headers + added


def first(headers: Headers, name: bytes) -> str | None:
    """The first value of a header, or None."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None
