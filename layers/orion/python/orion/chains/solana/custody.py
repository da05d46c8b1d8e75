"""3 of 5 on Solana: what `orion.chains.spend.Custody` asks of every chain, and what only this chain
needs (docs/chains/solana-custody.md).

A message names the three custodians that sign it. `decode` reports the same message for each of
them; a custodian that is not named refuses with `check_signer`.
"""

import hashlib
from collections.abc import Mapping

from orion.chains.solana.account import NATIVE, account, holding, seed_of
from orion.chains.solana.address import address_of, parse_address
from orion.chains.solana.message import parse_message
from orion.chains.solana.order import Order, read_order, signing_custodians, write_order
from orion.chains.solana.programs import MULTISIG_BYTES, TOKEN, WRAPPED_SOL
from orion.chains.solana.signatures import custodians_transaction, with_fee_payer
from orion.chains.spend import (
    CUSTODIANS,
    THRESHOLD,
    Curve,
    CustodyAccount,
    CustodyKeys,
    Operation,
    Spend,
    SpendRefused,
)

__all__ = [
    "Order",
    "account",
    "assemble",
    "check_signer",
    "decode",
    "describe",
    "owner_addresses",
    "signers",
    "with_fee_payer",
    "write_order",
]


def decode(unsigned: bytes, account: CustodyAccount, contracts: Mapping[str, str]) -> Spend:
    """Read a legacy message that pays from `account`. The fee payer bears the fee, so the account
    loses none. Raises SpendRefused.
    """
    order = read_order(unsigned, account, contracts)
    return Spend(
        operation=Operation.PAY,
        payments=order.payments,
        fee_max_units=0,
        claims=(),
        version=hashlib.sha256(unsigned).hexdigest(),
        curve=Curve.ED25519,
        messages=(unsigned,),
    )


def signers(unsigned: bytes, account: CustodyAccount) -> tuple[int, ...]:
    """The three custodians that the message names, ascending. Raises SpendRefused."""
    return signing_custodians(parse_message(unsigned), account)


def check_signer(unsigned: bytes, account: CustodyAccount, custodian: int) -> None:
    """Raise SpendRefused (reason `not_a_signer`) unless the message names `custodian`."""
    named = signers(unsigned, account)
    if custodian not in named:
        raise SpendRefused("others sign this message", reason="not_a_signer", custodian=custodian)


def assemble(
    unsigned: bytes, account: CustodyAccount, signatures: Mapping[int, tuple[bytes, ...]]
) -> bytes:
    """The transaction with the signatures of the three custodians that the message names; the fee
    payer's slot is zero until `with_fee_payer`.

    Raises SpendRefused (no message of the account), SignatureRefused.
    """
    message = parse_message(unsigned)
    signing_custodians(message, account)
    keys = account.keys.ed25519
    slots = [keys.index(key) + 1 for key in message.keys[1 : message.signers]]
    return custodians_transaction(unsigned, slots, keys, signatures)


def owner_addresses(keys: CustodyKeys) -> tuple[str, ...]:
    """The five Ed25519 keys in base 58, ascending as text."""
    return tuple(sorted(address_of(key) for key in keys.ed25519))


def describe(account: CustodyAccount) -> Mapping[str, object]:
    """What an auditor needs to compute the address again and to compare the chain's data."""
    place = account.place
    owner = parse_address(account.address)
    return {
        "chain": place.chain,
        "network": place.network,
        "group": place.group_no,
        "wallet": place.kind.value,
        "set": place.set_no,
        "kind": "spl-token multisig",
        "address": account.address,
        "threshold": THRESHOLD,
        "of": CUSTODIANS,
        "keys": [address_of(key) for key in account.keys.ed25519],
        "program": address_of(TOKEN),
        "size_bytes": MULTISIG_BYTES,
        "base": account.anchor,
        "seed": seed_of(place.group_no, place.kind, place.set_no),
        "recompute": "address = sha256(base || seed || program)",
        "holdings": {NATIVE.code: address_of(holding(owner, WRAPPED_SOL))},
        "holding_of_mint": "associated token account (address, program, mint)",
    }
