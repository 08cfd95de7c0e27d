"""Calls to addresses that others have named, as webhooks are: they lead into the public internet or nowhere.

Whoever names a host decides what its name resolves to, and may change that between two looks. So it is not the name
that is judged, but each address at the moment at which a socket is made for it: there is no other way out of here.
Redirects are not followed, proxies and cookies of the environment are not used, and of the answer only the status is
read.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextvars import ContextVar
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from chassis.core.names import Names

MAX_URL = 500
TIMEOUT_SECONDS = 5.0

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host, as texts. Raises OSError where there are none."""

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+", re.IGNORECASE)
_LOCAL_NAMES = ("localhost", "local", "internal", "lan", "home.arpa", "intranet", "corp", "home")
# aiohttp asks a resolver for a host and says nothing of the call that it is for.
_behalf: ContextVar[Hashable] = ContextVar("behalf")

_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# What Python's own list of the special ones lacks, in some of its versions at least: addresses by which clouds answer
# from within, and what carries an IPv4 address through tunnels that nobody needs.
_FURTHER: Sequence[IPv4Network | IPv6Network] = (
    IPv4Network("100.64.0.0/10"),
    IPv4Network("168.63.129.16/32"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)


class Unreached(StrEnum):
    """Why a call brought no answer."""

    ADDRESS = "address"  # it is not one that may be called
    HOST = "host"  # the name has no address
    CONNECTION = "connection"  # nobody listens there, or they broke off
    TLS = "tls"  # no encrypted connection, or a certificate that is not good for the host
    TIMEOUT = "timeout"
    ANSWER = "answer"  # what came back is no HTTP


class CallFailed(Exception):
    """There is no answer, and why."""

    def __init__(self, reason: Unreached) -> None:
        super().__init__(reason)
        self.reason = reason


class _Forbidden(Exception):
    """Not an OSError, upon which the connector would try the host's next address."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, whatever clothes it wears; False for what is none."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        inner = parsed.ipv4_mapped or (IPv4Address(parsed.packed[-4:]) if parsed in _NAT64 else None)
        if inner is None and (parsed.scope_id or parsed not in _GLOBAL_V6):
            return False
        parsed = inner or parsed
    special = any(parsed.version == network.version and parsed in network for network in _FURTHER)
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved and not special


def fault_of(url: str, *, local_addresses: bool) -> str | None:
    """What is wrong with an address as one to be called, in words for whoever named it; None where nothing is.

    It says nothing of what the host's name resolves to: that is judged at each call. With `local_addresses`, http and
    this machine are well too.
    """
    if not re.fullmatch(f"[!-~]{{1,{MAX_URL}}}", url):
        return f"must be at most {MAX_URL} ASCII characters without spaces; write other letters of a host as xn--"
    try:
        parsed = URL(url, encoded=True)
        host, port = parsed.raw_host or "", parsed.port
    except ValueError:
        return "is not an address"
    if parsed.scheme != "https" and not (local_addresses and parsed.scheme == "http"):
        return "must begin with https://"
    if parsed.raw_user is not None or parsed.raw_password is not None or parsed.raw_fragment:
        return "must have neither user name, nor password, nor fragment"
    if port is None or not 1 <= port <= 65535:
        return "has no port that there is"
    return None if local_addresses and host else _fault_of_host(host)


def _fault_of_host(host: str) -> str | None:
    try:
        ip_address(host)
    except ValueError:
        name = host.rstrip(".").lower()
        numeric = name.rpartition(".")[2].isdigit()
        local = any(name == each or name.endswith(f".{each}") for each in _LOCAL_NAMES)
        good = _HOST.fullmatch(name) and len(name) <= 253 and not numeric and not local
    else:
        good = is_public(host)
    return None if good else "is not on a host of the public internet"


class Outbound:
    """Calls out, on connections of their own. `local_addresses` lets them reach this machine and its networks.

    `resolve` is how names become addresses; the system's way if none is given.
    """

    def __init__(
        self,
        *,
        local_addresses: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
        resolve: Resolve | None = None,
    ) -> None:
        self._local_addresses = local_addresses
        self._timeout = timeout_seconds
        self._resolver = _Resolver(resolve)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, content: bytes, headers: Mapping[str, str], *, behalf: Hashable = None) -> int:
        """Send `content` on behalf of somebody; the status of the answer. Raises CallFailed.

        The time runs over all of it, the look-up of the name included. Somebody whose names are slow has only so many
        looked up at once, and keeps nobody else waiting.
        """
        _behalf.set(behalf)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(url, content, headers)
        except TimeoutError as error:
            raise CallFailed(Unreached.TIMEOUT) from error
        except _Forbidden as error:
            raise CallFailed(Unreached.ADDRESS) from error
        except aiohttp.InvalidURL as error:
            raise CallFailed(Unreached.ADDRESS) from error
        except (aiohttp.ClientConnectorDNSError, UnicodeError) as error:
            raise CallFailed(Unreached.HOST) from error
        except aiohttp.ClientSSLError as error:
            raise CallFailed(Unreached.TLS) from error
        except aiohttp.ClientResponseError as error:
            raise CallFailed(Unreached.ANSWER) from error
        except (aiohttp.ClientError, OSError) as error:
            raise CallFailed(Unreached.CONNECTION) from error

    async def _post(self, url: str, content: bytes, headers: Mapping[str, str]) -> int:
        async with self._open_session().post(
            URL(url, encoded=True), data=content, headers=headers, allow_redirects=False
        ) as response:
            response.close()  # its body is nobody's concern
            return response.status

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                socket_factory=self._make_socket,
                use_dns_cache=False,
                happy_eyeballs_delay=None,
                force_close=True,
                limit=0,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _make_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self._local_addresses and not is_public(str(address[0])):
            raise _Forbidden
        return socket.socket(family, kind, protocol)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()  # and the resolver with it
            self._session = None


class _Resolver(AbstractResolver):
    def __init__(self, resolve: Resolve | None) -> None:
        self._names = Names()
        self._resolve = resolve or self._look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._resolve(host)
        if not addresses:
            raise OSError("no address")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
            for address in addresses
        ]

    async def _look_up(self, host: str) -> Sequence[str]:
        return await self._names.addresses_of(host, _behalf.get())

    async def close(self) -> None:
        """What the connector calls at its end; there is nothing to close."""
