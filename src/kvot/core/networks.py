"""Networks that a credential may be used from: CIDR ranges, and whether an address lies in one of them."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


@lru_cache(maxsize=1_024)
def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """None for what is no CIDR range, has bits beyond its prefix, or names IPv4 in IPv6's clothes.

    An IPv4 peer is always compared as IPv4, so a mapped range could never match.
    """
    try:
        network = ip_network(text)
    except ValueError:
        return None
    is_mapped = isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None
    return None if is_mapped else network


@lru_cache(maxsize=4_096)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as a socket names it; IPv4 seen through an IPv6 socket is IPv4. None for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without a zone, which no range has
    return address


def allows(networks: tuple[str, ...], peer: str | None) -> bool:
    """Whether a peer may use what is bound to these networks. No networks: anyone. An unknown peer: nobody."""
    if not networks:
        return True
    address = parse_address(peer) if peer else None
    if address is None:
        return False
    return any((network := parse_network(text)) is not None and address in network for text in networks)
