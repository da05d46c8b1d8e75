"""What the chains' packages offer to the signers beside `orion.chains.spend.Custody`."""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

from orion.chains.registry import chain_data
from orion.chains.spend import Spend


class SweepCode(Protocol):
    """The module `sweep` of every chain's package."""

    def decode_sweep(
        self,
        unsigned: bytes,
        owners: tuple[bytes, ...],
        network: str,
        contracts: Mapping[str, str],
    ) -> Spend:
        """Read a complete unsigned transaction of wallets with the public keys `owners`, one for
        each input or signature in order. Raises SpendRefused.
        """
        ...

    def assemble_sweep(
        self,
        unsigned: bytes,
        owners: tuple[bytes, ...],
        network: str,
        signatures: tuple[bytes, ...],
    ) -> bytes:
        """The transaction with one signature for each owner: 65 bytes r, s, recovery id (ECDSA) or
        64 (Ed25519). Every signature is verified. Raises SignatureRefused.
        """
        ...


def sweep_code(chain: str) -> SweepCode:
    """The module `sweep` of one chain, imported now and not before. Raises UnknownChain."""
    chain_data(chain)
    return cast(SweepCode, import_module(f"orion.chains.{chain}.sweep"))
