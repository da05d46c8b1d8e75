"""Whom a source address stands for, where callers are counted."""

import ipaddress

# What one subscriber of IPv6 has at least: he may take any address of it at any time (RFC 6177,
# RFC 7934).
_SUBSCRIBER_PREFIX = 64


def network_of(address: str) -> str:
    """The IPv4 address, or the /64 of an IPv6 one; a text that is no address as it is.

    IPv4 written in IPv6 (RFC 4291 section 2.5.5.2) is the same caller.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), _SUBSCRIBER_PREFIX), strict=False))
