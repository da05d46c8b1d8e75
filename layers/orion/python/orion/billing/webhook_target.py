"""Where a webhook may go. Pure rules: the sender resolves names itself and asks `address_allowed`
about each address.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from orion.billing.errors import WebhookUrlRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

URL_MAX_LENGTH = 2_048
HTTP_PORT = 80
HTTPS_PORT = 443
FIRST_FREE_PORT = 1_024
_VISIBLE_ASCII = re.compile(r"[!-~]+\Z", re.ASCII)
_NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z",
    re.ASCII,
)
# All that IANA has given out as global unicast (RFC 4291 section 2.4 and its registry).
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
# Global by the registries, and yet no place for a merchant's server: addresses that carry another
# one inside, which their gateways would reach (6to4: RFC 3056, RFC 7526; Teredo: RFC 4380), and
# what younger registries than Python's set aside (ORCHIDv2: RFC 7343, documentation: RFC 9637).
# NAT64 (RFC 6052, RFC 8215) and IPv4-compatible addresses lie outside 2000::/3.
_SET_ASIDE = tuple(
    ipaddress.ip_network(text)
    for text in ("192.88.99.0/24", "192.0.0.0/24", "2001::/23", "2002::/16", "3fff::/20")
)
# The interface identifiers of ISATAP (RFC 5214 section 6.1), local or global, before the address.
_ISATAP = (0x00005EFE, 0x02005EFE)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed the rules: what to connect to and what to ask for."""

    secure: bool
    host: str
    port: int
    path: str


def check_url(url: str, allowed_private: Sequence[Network]) -> Target:
    """The target of a URL, as docs/webhooks.md says under "Targets". Raises WebhookUrlRefused."""
    if len(url) > URL_MAX_LENGTH or not _VISIBLE_ASCII.match(url):
        raise WebhookUrlRefused(f"at most {URL_MAX_LENGTH} visible ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise WebhookUrlRefused("not a URL") from exc
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise WebhookUrlRefused("not an https URL")
    if "@" in parts.netloc or "#" in url or "\\" in url:
        raise WebhookUrlRefused("no user, password, fragment or backslash may stand in the URL")
    secure = parts.scheme == "https"
    _check_host(parts.hostname, secure, allowed_private)
    if port is None:
        port = HTTPS_PORT if secure else HTTP_PORT
    if port != HTTPS_PORT and port < FIRST_FREE_PORT and not (port == HTTP_PORT and not secure):
        raise WebhookUrlRefused("port 443 or one from 1024 to 65535", port=port)
    return Target(secure, parts.hostname, port, _path(parts))


def _check_host(host: str, secure: bool, allowed_private: Sequence[Network]) -> None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not secure:
            raise WebhookUrlRefused("only https may be used") from None
        if not _NAME.match(host):
            raise WebhookUrlRefused("the host is neither a full name nor an address") from None
        return
    if not address_allowed(address, secure=secure, allowed_private=allowed_private):
        raise WebhookUrlRefused("the address is not public, or needs https")


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def address_allowed(address: Address, *, secure: bool, allowed_private: Sequence[Network]) -> bool:
    """Whether a webhook may be sent to `address`: https to public ones, anything to the allowed
    private networks.
    """
    inner = _inner(address)
    if any(inner.version == network.version and inner in network for network in allowed_private):
        return True
    return secure and _public(inner)


def _inner(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _public(address: Address) -> bool:
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    if any(address.version == network.version and address in network for network in _SET_ASIDE):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        carries = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
        return address in _GLOBAL_V6 and address.scope_id is None and not carries
    return True
