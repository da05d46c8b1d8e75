"""Where a webhook may go, judged by its URL and by the addresses of its name."""

import ipaddress

import pytest

from orion.billing.errors import WebhookUrlRefused
from orion.billing.webhook_target import address_allowed, check_url

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.com/hooks?a=1",
        "https://shop.example.com:8443/",
        "https://SHOP.example.com",
        "https://93.184.216.34/h",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/h",
        "https://xn--bcher-kva.example/h",
    ],
)
def test_public_https_targets_are_taken(url: str) -> None:
    assert check_url(url, []).secure


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.com/",
        "http://93.184.216.34/",
        "ftp://shop.example.com/",
        "https://user:word@shop.example.com/",
        "https://user@shop.example.com/",
        "https://@shop.example.com/",
        "https://shop.example.com/#part",
        "https://shop.example.com:22/",
        "https://shop.example.com:80/",
        "https://shop.example.com:0/",
        "https://shop.example.com:99999/",
        "https://shop.example.com:x/",
        "https://localhost/",
        "https://metadata/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[::1",
        "https:///path",
        "https://shop.example.com\\@evil.example/",
        "https://shop.example.com/a b",
        "https://shop.example.com/\u00e9",
        "https://shop_.example.com/",
        "https://" + "a" * 2_100 + ".example/",
        "",
    ],
)
def test_every_other_target_is_refused(url: str) -> None:
    with pytest.raises(WebhookUrlRefused):
        check_url(url, [])


def test_a_private_network_is_reachable_only_where_the_parameter_allows_it() -> None:
    assert check_url("http://127.0.0.1:9000/h", LOOPBACK).port == 9000
    assert check_url("https://[::1]:9000/h", LOOPBACK).host == "::1"
    with pytest.raises(WebhookUrlRefused):
        check_url("http://10.0.0.1:9000/h", LOOPBACK)


@pytest.mark.parametrize("secure", [True, False])
def test_a_mapped_address_is_judged_by_what_it_maps(secure: bool) -> None:
    mapped = ipaddress.ip_address("::ffff:127.0.0.1")
    assert not address_allowed(mapped, secure=secure, allowed_private=[])
    assert address_allowed(mapped, secure=secure, allowed_private=LOOPBACK)


def test_a_public_address_is_never_called_without_tls() -> None:
    public = ipaddress.ip_address("93.184.216.34")
    assert address_allowed(public, secure=True, allowed_private=LOOPBACK)
    assert not address_allowed(public, secure=False, allowed_private=LOOPBACK)


@pytest.mark.parametrize(
    "text",
    [
        # IPv4, by the IANA special-purpose registry.
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "0.1.2.3",
        "10.255.255.255",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "169.254.170.2",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        # IPv6, by its own.
        "::",
        "::1",
        "::7f00:1",  # IPv4-compatible
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",  # IPv4-translated
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::808:808",  # NAT64, of a public address too
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001::1",  # Teredo
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "2606:4700::5efe:7f00:1",  # ISATAP
        "2606:4700::200:5efe:a00:1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_no_address_that_is_not_public_is_called(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not address_allowed(address, secure=True, allowed_private=[])


@pytest.mark.parametrize(
    "text",
    [
        *("1.1.1.1", "172.32.0.1", "192.88.98.1", "223.255.255.254", "::ffff:1.1.1.1"),
        *("2001:4860:4860::8888", "2400:cb00::1", "2606:4700::1", "2a00:1450::1", "2c0f:fb50::1"),
    ],
)
def test_public_addresses_are_called(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert address_allowed(address, secure=True, allowed_private=[])
