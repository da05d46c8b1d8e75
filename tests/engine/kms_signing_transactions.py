"""Unsigned sweeps of every chain by wallets of known seeds, and what an executor carries."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence

from coincurve import PrivateKey

from orion.chains import base58
from orion.chains.bitcoin.address import parse_address as bitcoin_address
from orion.chains.bitcoin.encode import transaction_bytes
from orion.chains.bitcoin.psbt_build import Coin, everything_psbt
from orion.chains.bitcoin.wire import TxInput, TxOutput
from orion.chains.ethereum.creation import creation_call, factory_address
from orion.chains.ethereum.safe_account import owner_of
from orion.chains.ethereum.safe_transaction import CALL, SafeTransaction
from orion.chains.ethereum.transaction import FeeMarketTransaction
from orion.chains.solana.address import parse_address as solana_key
from orion.chains.solana.budget import Budget
from orion.chains.solana.programs import WRAPPED_SOL
from orion.chains.solana.sweep import Sweep, slots, write_sweep
from orion.chains.spend import CustodyAccount
from orion.chains.tron import building
from orion.chains.tron.raw_data import Frame
from orion.kms.keys.branches import wallet_keys
from orion.kms.signing.model import SweepRequest
from orion.wallet.addresses import WalletRange, addresses
from tests.engine.kms_signing_scene import (
    BLOCKHASH,
    NETWORKS,
    TRACE,
)
from tests.unit.kms_signing_keys import custodian_secret


def wallet(seed: bytes, index: int) -> Mapping[str, str]:
    """A wallet's addresses, as the address pool tells them."""
    (found,) = addresses(wallet_keys(seed, NETWORKS, WalletRange(index, 1)))
    return found.addresses


def bitcoin_output(seed: bytes, index: int) -> TxOutput:
    """What a wallet was paid on Bitcoin."""
    script = bitcoin_address(wallet(seed, index)["bitcoin"], "regtest").script
    return TxOutput(100_000 + index, script)


def bitcoin_sweep(
    seed: bytes, indexes: Sequence[int], recipient: str, *, fee_sat: int = 400
) -> tuple[bytes, tuple[int, ...]]:
    """A PSBT of one coin for each wallet, and the wallets in the order of its inputs."""
    by_id: list[tuple[bytes, int, Coin]] = []
    for index in indexes:
        source = TxInput(hashlib.sha256(bytes([index % 256])).digest(), 0, b"", 0xFFFFFFFF)
        previous = transaction_bytes(2, [source], [bitcoin_output(seed, index)], 0)
        txid = hashlib.sha256(hashlib.sha256(previous).digest()).digest()[::-1]
        by_id.append((txid, index, Coin(previous, 0)))
    by_id.sort(key=lambda row: row[0])
    coins = [coin for _, _, coin in by_id]
    psbt = everything_psbt(coins, recipient, "regtest", fee_sat)
    return psbt, tuple(index for _, index, _ in by_id)


def tron_frame(minute: int = 0) -> Frame:
    """Times and a reference block; `minute` makes another transaction."""
    start = 1_700_000_000_000 + 60_000 * minute
    return Frame(b"\x12\x34", b"\x01" * 8, start, start + 600_000)


def solana_sweep(
    seed: bytes, indexes: Sequence[int], recipient: str, *, fee_payer: str | None = None
) -> tuple[bytes, tuple[int, ...]]:
    """A message that moves SOL, and the wallets in the order of their signatures."""
    keys = {solana_key(wallet(seed, index)["solana"]): index for index in indexes}
    payer = solana_key(fee_payer) if fee_payer else next(iter(keys))
    owners = slots(tuple(keys), payer)
    sweep = Sweep(
        fee_payer=payer,
        blockhash=BLOCKHASH,
        budget=Budget(200_000, 10),
        mint=WRAPPED_SOL,
        recipient=solana_key(recipient),
        owners=owners,
        units=(1_000_000,) * len(owners),
    )
    return write_sweep(sweep, "localnet", {}), tuple(keys[owner] for owner in owners)


def tron_sweep(
    seed: bytes, index: int, recipient: str, *, minute: int = 0
) -> tuple[bytes, tuple[int, ...]]:
    """TRX of one wallet."""
    source = wallet(seed, index)["tron"]
    return building.transfer(source, recipient, 5_000_000, tron_frame(minute), 0), (index,)


def ethereum_sweep(
    recipient: str, *, nonce: int = 0, max_fee_gwei: int = 30
) -> tuple[bytes, tuple[int, ...]]:
    """Coins of wallet 7."""
    transaction = FeeMarketTransaction(
        chain_id=31337,
        nonce=nonce,
        max_priority_fee_wei=10**9,
        max_fee_wei=max_fee_gwei * 10**9,
        gas_limit=21_000,
        to=recipient,
        value_wei=10**17,
        data=b"",
    )
    return transaction.encode(), (7,)


def unsigned_sweep(chain: str, seed: bytes, recipient: str) -> tuple[bytes, tuple[int, ...]]:
    """A sweep of wallet 7, or on Bitcoin and Solana of wallets 7 and 8."""
    if chain == "bitcoin":
        return bitcoin_sweep(seed, (7, 8), recipient)
    if chain == "solana":
        return solana_sweep(seed, (7, 8), recipient)
    if chain == "tron":
        return tron_sweep(seed, 7, recipient)
    return ethereum_sweep(recipient)


def sweep_of(group_no: int, chain: str, seed: bytes, recipient: str) -> SweepRequest:
    """The request for `unsigned_sweep`."""
    unsigned, indexes = unsigned_sweep(chain, seed, recipient)
    return SweepRequest(group_no, unsigned, indexes, TRACE)


def as_event(request: SweepRequest) -> dict[str, object]:
    """The same request as a function is called with it."""
    return {
        "v": 1,
        "trace_id": request.trace_id,
        "group": request.group_no,
        "unsigned": base64.b64encode(request.unsigned).decode(),
        "indexes": list(request.indexes),
    }


def execution(
    account: CustodyAccount,
    *,
    nonce: int = 0,
    max_fee_gwei: int = 10,
    value: int = 5,
    chain_id: int = 31337,
    signed: Callable[[int, bytes], bytes] | None = None,
    custodians: Sequence[int] = (1, 3, 5),
) -> bytes:
    """An executor's transaction that carries a payment of the account's Safe under its nonce 0,
    signed by these custodians. `signed` answers a custodian's signature of a digest; without it
    they have the keys of `custody_set`.
    """
    payment = SafeTransaction(
        chain_id=chain_id,
        safe=account.address,
        to="0x" + "77" * 20,
        value=value,
        data=b"",
        operation=CALL,
        nonce=0,
    )
    return FeeMarketTransaction(
        chain_id=chain_id,
        nonce=nonce,
        max_priority_fee_wei=10**9,
        max_fee_wei=max_fee_gwei * 10**9,
        gas_limit=100_000,
        to=account.address,
        value_wei=0,
        data=payment.execution(_carried(account, payment.digest, signed, custodians)),
    ).encode()


def _carried(
    account: CustodyAccount,
    digest: bytes,
    signed: Callable[[int, bytes], bytes] | None,
    custodians: Sequence[int],
) -> bytes:
    """Signatures as a Safe takes them, ascending by owner."""

    def by_hand(custodian: int, digest: bytes) -> bytes:
        key = PrivateKey(custodian_secret(account.place.set_no, custodian))
        return key.sign_recoverable(digest, hasher=None)

    made = signed or by_hand
    given = []
    for custodian in custodians:
        owner = owner_of(account.keys.secp256k1[custodian - 1])
        signature = made(custodian, digest)
        given.append((owner, signature[:64] + bytes([27 + signature[64]])))
    return b"".join(signature for _, signature in sorted(given))


def safe_creation(account: CustodyAccount, *, nonce: int = 0) -> bytes:
    """An executor's transaction that makes the account's Safe."""
    return FeeMarketTransaction(
        chain_id=31337,
        nonce=nonce,
        max_priority_fee_wei=10**9,
        max_fee_wei=10 * 10**9,
        gas_limit=400_000,
        to=factory_address(),
        value_wei=0,
        data=creation_call(account),
    ).encode()


def tron_signer(transaction: bytes, version: str) -> str:
    """Whose the last signature is, by Ethereum's own library: the 20 bytes are made alike."""
    from eth_keys.datatypes import Signature

    key = Signature(transaction[-65:]).recover_public_key_from_msg_hash(bytes.fromhex(version))
    return base58.encode_check(b"\x41" + key.to_canonical_address())
