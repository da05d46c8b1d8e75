"""Which assets this stage can be paid in, and the link that pays one."""

from collections.abc import Mapping
from dataclasses import dataclass

from orion.chains import registry
from orion.money import ASSETS, Amount, Asset, UnknownAsset, asset


@dataclass(frozen=True, slots=True)
class Networks:
    """The network of each chain and the token contract of each asset code, of one stage."""

    networks: Mapping[str, str]
    contracts: Mapping[str, str]


def payable_asset(code: str, places: Networks) -> Asset:
    """The asset of this code. Raises UnknownAsset also where the stage lacks its chain or
    contract.
    """
    found = asset(code)
    if found.chain is None or found.chain not in places.networks:
        raise UnknownAsset("nothing can be paid in this asset here", asset=code)
    if code != registry.chain_data(found.chain).native_asset and code not in places.contracts:
        raise UnknownAsset("this network has no contract of the token", asset=code)
    return found


def payable_assets(places: Networks) -> tuple[Asset, ...]:
    """All that this stage can be paid in."""
    found: list[Asset] = []
    for code in ASSETS:
        try:
            found.append(payable_asset(code, places))
        except UnknownAsset:
            continue
    return tuple(found)


def display_address(address: str, chain: str) -> str:
    """The form for people of a canonical address."""
    return registry.chain(chain).display_address(address)


def payment_link(amount: Amount, address: str, places: Networks) -> str:
    """A link that pays exactly `amount`, of an asset that `payable_asset` returned."""
    chain = amount.asset.chain
    if chain is None:
        raise UnknownAsset("fiat money has no payment link", asset=amount.asset.code)
    contract = places.contracts.get(amount.asset.code)
    return registry.chain(chain).payment_link(address, amount, places.networks[chain], contract)
