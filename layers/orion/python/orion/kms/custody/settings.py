"""What a deployment pins in a custodian: whom it believes, how much it signs for, and where."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from orion.chains.errors import MalformedAddress, UnknownNetwork, WrongNetworkAddress
from orion.chains.registry import chain, chain_data, chain_names
from orion.chains.spend import WalletKind
from orion.kms.custody import strict
from orion.kms.custody.errors import CustodianMisconfigured, RequestRefused
from orion.kms.custody.model import Caps
from orion.kms.custody.statements import EvidenceKeys
from orion.money import ASSETS
from orion.records import MalformedJson, parse_object

_FIELDS = frozenset({"evidence_keys", "velocity", "contracts", "networks", "floats"})
_MAX_BYTES = 4_096  # AWS Lambda, "Environment variables": 4 KB for all of them together.


@dataclass(frozen=True, slots=True)
class CustodianSettings:
    """`caps` in smallest units by wallet and asset, `contracts` by asset, `networks` and `floats`
    by chain: a float is whom a refill pays there.
    """

    evidence_keys: EvidenceKeys
    caps: Caps
    contracts: Mapping[str, str]
    networks: Mapping[str, str]
    floats: Mapping[str, str]


def read_settings(text: str) -> CustodianSettings:
    """Read ORION_CUSTODIAN_SETTINGS strictly. Raises CustodianMisconfigured."""
    if len(text) > _MAX_BYTES:
        raise CustodianMisconfigured("the settings are longer than an environment may be")
    try:
        body = strict.fields(parse_object(text.encode()), _FIELDS, "settings")
        networks = _texts(body["networks"], "networks")
        return CustodianSettings(
            evidence_keys=EvidenceKeys(_keys(body["evidence_keys"])),
            caps=_caps(body["velocity"]),
            contracts=_checked_contracts(_texts(body["contracts"], "contracts"), networks),
            networks=_checked_networks(networks),
            floats=_checked_floats(_texts(body["floats"], "floats"), networks),
        )
    except MalformedJson as exc:
        raise CustodianMisconfigured("the settings are not JSON") from exc
    except RequestRefused as exc:
        raise CustodianMisconfigured(exc.detail, reason=exc.reason, part=exc.part) from exc


def _object(value: object, part: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise CustodianMisconfigured("an object is wanted", part=part)
    return value


def _texts(value: object, part: str) -> Mapping[str, str]:
    return {
        name: strict.name(text, f"{part}.{name}") for name, text in _object(value, part).items()
    }


def _keys(value: object) -> Mapping[str, bytes]:
    try:
        return {
            issuer: base64.b64decode(text, validate=True)
            for issuer, text in _object(value, "evidence_keys").items()
            if isinstance(text, str)
        }
    except binascii.Error as exc:
        raise CustodianMisconfigured("an evidence key is not base 64") from exc


def _caps(value: object) -> Caps:
    body = strict.fields(value, frozenset(WalletKind), "velocity")
    return {kind: _cap_rows(body[kind], f"velocity.{kind}") for kind in WalletKind}


def _cap_rows(value: object, part: str) -> Mapping[str, int]:
    caps = {}
    for code, units in _object(value, part).items():
        if code not in ASSETS or ASSETS[code].chain is None:
            raise CustodianMisconfigured("a cap of an unknown asset", part=part)
        caps[code] = strict.units(units, f"{part}.{code}")
    return caps


def _checked_networks(networks: Mapping[str, str]) -> Mapping[str, str]:
    for name, network in networks.items():
        if name not in chain_names():
            raise CustodianMisconfigured("a network of an unknown chain", part="networks")
        try:
            chain_data(name).confirmations(network)
        except UnknownNetwork as exc:
            raise CustodianMisconfigured("a chain has no such network", part=name) from exc
    return networks


def _checked_contracts(
    contracts: Mapping[str, str], networks: Mapping[str, str]
) -> Mapping[str, str]:
    for code, contract in contracts.items():
        name = ASSETS[code].chain if code in ASSETS else None
        if name is None or name not in networks:
            raise CustodianMisconfigured("a contract of an asset that is not served", part=code)
        _check_address(name, networks[name], contract, f"contracts.{code}")
    return contracts


def _checked_floats(floats: Mapping[str, str], networks: Mapping[str, str]) -> Mapping[str, str]:
    for name, address in floats.items():
        if name not in networks:
            raise CustodianMisconfigured("a float on a chain that is not served", part=name)
        _check_address(name, networks[name], address, f"floats.{name}")
    return floats


def _check_address(name: str, network: str, address: str, part: str) -> None:
    try:
        same = chain(name).canonical_address(address, network) == address
    except (MalformedAddress, WrongNetworkAddress, UnknownNetwork) as exc:
        raise CustodianMisconfigured("an address is malformed", part=part) from exc
    if not same:
        raise CustodianMisconfigured("an address is not canonical", part=part)
