"""What a wallet opens: BIP-21 for Bitcoin, EIP-681 for Ethereum and its tokens."""

from collections.abc import Mapping
from dataclasses import dataclass

from orion.money import Amount, UnknownAsset


@dataclass(frozen=True, slots=True)
class Networks:
    """`networks` by chain (Ethereum's is its decimal chain id) and token contracts by asset code, of one stage."""

    networks: Mapping[str, str]
    contracts: Mapping[str, str]


def payment_link(amount: Amount, address: str, places: Networks) -> str:
    """A link that pays exactly `amount` to `address`. Raises UnknownAsset when this stage has no such contract."""
    chain = amount.asset.chain
    if chain == "bitcoin":
        return f"bitcoin:{address}?amount={amount.text()}"
    if chain == "ethereum":
        return _ethereum(amount, address, places)
    raise UnknownAsset("no payment link for this chain yet", asset=amount.asset.code)


def _ethereum(amount: Amount, address: str, places: Networks) -> str:
    chain_id = places.networks["ethereum"]
    if amount.asset.symbol == "ETH":
        return f"ethereum:{address}@{chain_id}?value={amount.units}"
    contract = places.contracts.get(amount.asset.code)
    if contract is None:
        raise UnknownAsset("this network has no contract of the token", asset=amount.asset.code)
    return f"ethereum:{contract}@{chain_id}/transfer?address={address}&uint256={amount.units}"


def payable(asset_code: str, chain: str, places: Networks) -> bool:
    """Whether this stage can be paid in the asset: its chain runs here, and a token's contract is known."""
    if chain not in places.networks:
        return False
    return asset_code in {"BTC.bitcoin", "ETH.ethereum"} or asset_code in places.contracts
