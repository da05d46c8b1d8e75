"""A block as the agents publish it and moneyin reads it, the same for every chain."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transfer:
    """One movement of value to `recipient` that a block makes certain, in smallest units.

    `position` is stable whatever else the block holds (docs/contracts.md, block event). `contract`
    None is the chain's own coin. `sender` None where the chain names none (Bitcoin). `units` may
    exceed 2^128-1: the chain decides what exists, moneyin what is quarantined.
    """

    txid: str
    position: str
    contract: str | None
    sender: str | None
    recipient: str
    units: int


@dataclass(frozen=True, slots=True)
class Block:
    """Hashes in the chain's display form.

    `time` in seconds since 1970 UTC, as the block itself claims.
    """

    hash: str
    parent: str
    height: int
    time: int
    transfers: tuple[Transfer, ...]
