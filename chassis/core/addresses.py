"""Network addresses as limits count them."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address


def network_of(address: Address | str) -> str:
    """What counts as one subscriber: an IPv4 address, or the /64 of IPv6, all of which one household has.

    An IPv4 address in IPv6's clothes is that IPv4 address; this machine, and what is no address, stand for themselves.
    """
    if isinstance(address, str):
        try:
            address = ip_address(address)
        except ValueError:
            return str(address)
    if isinstance(address, IPv6Address) and not address.is_loopback:
        return str(address.ipv4_mapped or IPv6Network((address, 64), strict=False))
    return str(address)
