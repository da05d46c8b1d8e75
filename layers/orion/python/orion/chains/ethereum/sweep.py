"""Sweeps: a wallet's own transaction that brings coins or tokens home, signed by its one key."""

from collections.abc import Mapping

from orion.chains.ethereum.abi import address_text
from orion.chains.ethereum.address import check_network
from orion.chains.ethereum.safe_account import owner_of
from orion.chains.ethereum.safe_signatures import checked_signature
from orion.chains.ethereum.token import (
    NATIVE_ASSET,
    check_recipient,
    read_transfer,
    tokens_by_contract,
)
from orion.chains.ethereum.transaction import (
    FeeMarketTransaction,
    parse_transaction,
    signing_digest,
)
from orion.chains.spend import Curve, Operation, Payment, SignatureRefused, Spend, SpendRefused

# A token's transfer needs 30,000 to 70,000; some tokens do more.
GAS_MAX = 500_000


def decode_sweep(
    unsigned: bytes, owners: tuple[bytes, ...], network: str, contracts: Mapping[str, str]
) -> Spend:
    """Read the unsigned transaction (EIP-1559) of the one key in `owners`, 33 bytes.

    It pays coins, or a token of `contracts` by asset code. Its sender bears the gas:
    `fee_max_units` wei at most. Raises SpendRefused, UnknownNetwork, MalformedAddress.
    """
    sender = address_text(owner_of(_owner(owners)))
    tokens = tokens_by_contract(contracts)
    transaction = _transaction(unsigned, network)
    digest = signing_digest(unsigned)
    return Spend(
        operation=Operation.PAY,
        payments=(_payment(transaction, sender, tokens),),
        fee_max_units=transaction.fee_max_wei,
        claims=(f"{sender}:{transaction.nonce}",),
        version=digest.hex(),
        curve=Curve.SECP256K1,
        messages=(digest,),
    )


def assemble_sweep(
    unsigned: bytes, owners: tuple[bytes, ...], network: str, signatures: tuple[bytes, ...]
) -> bytes:
    """The raw transaction with the one signature, 65 bytes r, s, recovery id, of the one owner.

    Raises SpendRefused, SignatureRefused, UnknownNetwork, MalformedAddress.
    """
    public_key = _owner(owners)
    transaction = _transaction(unsigned, network)
    if len(signatures) != 1:
        raise SignatureRefused("one signature makes a sweep", custodian=None)
    signature = checked_signature(public_key, signing_digest(unsigned), signatures[0])
    return transaction.signed(signature)


def _owner(owners: tuple[bytes, ...]) -> bytes:
    if len(owners) != 1:
        raise SpendRefused("a transaction has one sender", reason="senders")
    return owners[0]


def _transaction(unsigned: bytes, network: str) -> FeeMarketTransaction:
    check_network(network)
    transaction = parse_transaction(unsigned, GAS_MAX)
    if str(transaction.chain_id) != network:
        raise SpendRefused("a transaction for another network", reason="network")
    return transaction


def _payment(transaction: FeeMarketTransaction, sender: str, tokens: Mapping[str, str]) -> Payment:
    if transaction.data:
        if transaction.to not in tokens:
            raise SpendRefused("calls what no sweep calls", reason="contract", to=transaction.to)
        if transaction.value_wei != 0:
            raise SpendRefused("a token call carries coins", reason="value")
        return read_transfer(transaction.data, tokens[transaction.to], sender, tokens)
    check_recipient(transaction.to, sender, tokens)
    if transaction.value_wei == 0:
        raise SpendRefused("pays nothing", reason="units")
    return Payment(NATIVE_ASSET, transaction.to, transaction.value_wei)
