"""Networks: what is a range, and who is inside."""

import pytest

from kvot.core.networks import allows, parse_network


@pytest.mark.parametrize(
    ("networks", "peer", "allowed"),
    [
        ((), "192.0.2.1", True),
        ((), None, True),
        (("192.0.2.0/24",), "192.0.2.255", True),
        (("192.0.2.0/24",), "192.0.3.0", False),
        (("192.0.2.0/24",), "::ffff:192.0.2.7", True),  # an IPv4 peer seen through an IPv6 socket
        (("192.0.2.0/24",), "::192.0.2.7", False),
        (("192.0.2.7",), "192.0.2.7", True),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("2001:db8::/32",), "2001:db8:ffff::1", True),
        (("2001:db8::/32",), "2001:db9::", False),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("10.0.0.0/8", "2001:db8::/32"), "10.1.2.3", True),
        (("10.0.0.0/8",), None, False),
        (("10.0.0.0/8",), "", False),
        (("10.0.0.0/8",), "/run/kvot.sock", False),
        (("10.0.0.0/8",), "10.0.0.1, 192.0.2.1", False),
        (("nonsense",), "10.0.0.1", False),
    ],
)
def test_who_is_inside(networks, peer, allowed):
    assert allows(networks, peer) is allowed


@pytest.mark.parametrize("text", ["", "x", "10.0.0.1/8", "10.0.0.0/33", "::ffff:10.0.0.0/104", "10.0.0.0/8 ", "1"])
def test_what_is_no_range(text):
    assert parse_network(text) is None
