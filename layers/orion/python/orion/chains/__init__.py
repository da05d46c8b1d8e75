"""Chains: bytes in, values out. Importing this imports no chain; `chain(name)` imports one."""

from orion.chains.blocks import Block, Transfer
from orion.chains.registry import (
    Chain,
    ChainData,
    Confirmations,
    chain,
    chain_data,
    chain_names,
)

__all__ = [
    "Block",
    "Chain",
    "ChainData",
    "Confirmations",
    "Transfer",
    "chain",
    "chain_data",
    "chain_names",
]
