"""What counts as one subscriber: whoever has many addresses has no more tries for it."""

from ipaddress import ip_address

import pytest

from chassis.core.addresses import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::2", "2001:db8:1:3::/64"),
        ("::1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_an_address_counts_with_all_that_its_subscriber_may_choose_from(address: str, network: str) -> None:
    assert network_of(address) == network
    assert network_of(ip_address(address)) == network


def test_what_is_no_address_counts_as_itself() -> None:
    assert network_of("testclient") == "testclient"
