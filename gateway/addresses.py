"""Who is calling: the client's address and scheme, as far as they can be believed."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.types import Scope

from chassis.core.addresses import Address
from gateway.headers import Headers
from gateway.settings import Network

# A peer without an address comes through a Unix socket, and so from this machine.
_LOCAL = IPv4Address("127.0.0.1")


@lru_cache(maxsize=4096)
def parse(text: str) -> Address | None:
    """An address as proxies write it: with a port or brackets or neither. None if it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def client_of(scope: Scope, headers: Headers, trusted: Sequence[Network]) -> tuple[Address, bool]:
    """The client's address, and whether it came by https.

    `X-Forwarded-For` counts only from trusted proxies: it is read from the right, past those that are trusted, to the
    first address that is not: that one was seen by a proxy of ours. What stands further left anybody may have written.
    """
    client = scope.get("client")
    peer = (parse(client[0]) if client else None) or _LOCAL
    https = scope.get("scheme") == "https"
    if not trusted or not _within(peer, trusted):
        return peer, https
    hops = _values(headers, b"x-forwarded-for")
    for hop in reversed(hops):
        address = parse(hop)
        if address is None:
            break
        peer = address
        if not _within(address, trusted):
            break
    schemes = _values(headers, b"x-forwarded-proto")
    return peer, (schemes[-1].lower() == "https" if schemes else https)


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _values(headers: Headers, name: bytes) -> list[str]:
    joined = b",".join(value for key, value in headers if key == name).decode("latin-1")
    return [item.strip() for item in joined.split(",") if item.strip()]
