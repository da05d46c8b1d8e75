"""Custody sets whose keys a test holds, their coins, and two judges of Bitcoin transactions.

The judges know nothing of the product: btcd's mempool (btcsuite's engine and policy) and Bitcoin
Core's consensus engine (py-bitcoinkernel), which runs every input's script over the output that it
spends.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pbk
from coincurve import PrivateKey
from pbk.script import PrecomputedTransactionData

from infra.local.btcd import Btcd, witness_script
from infra.local.faucet import BitcoinFaucet
from infra.local.json_rpc import RpcRefused, record, sequence, text
from orion.chains.bitcoin import custody
from orion.chains.bitcoin.address import address_of, parse_address
from orion.chains.bitcoin.encode import compact_size, output_bytes, transaction_bytes
from orion.chains.bitcoin.network import network_of
from orion.chains.bitcoin.psbt import parse_psbt
from orion.chains.bitcoin.psbt_build import Coin
from orion.chains.bitcoin.wire import TxInput, TxOutput, parse_transaction
from orion.chains.spend import (
    CustodyAccount,
    CustodyKeys,
    CustodyPlace,
    WalletKind,
)

NETWORK = "regtest"


def key(label: str) -> PrivateKey:
    """A private key that a test can make again."""
    return PrivateKey(hashlib.sha256(label.encode()).digest())


def public(private: PrivateKey) -> bytes:
    return bytes(private.public_key.format())


def script_of(address: str) -> bytes:
    return parse_address(address, NETWORK).script


def recipient(label: str) -> str:
    """A P2WPKH address of somebody else."""
    found = address_of(witness_script(key(label)), network_of(NETWORK))
    assert found is not None
    return found


@dataclass(frozen=True)
class CustodySet:
    """Five private keys and their account."""

    privates: tuple[PrivateKey, ...]
    account: CustodyAccount

    @property
    def script(self) -> bytes:
        """The output script of the account."""
        return script_of(self.account.address)

    def signatures(
        self, unsigned: bytes, custodians: Iterable[int]
    ) -> Mapping[int, tuple[bytes, ...]]:
        """What those custodians answer: 65 bytes r, s, recovery id for each message."""
        messages = custody.decode(unsigned, self.account, {}).messages
        return {
            number: tuple(
                self.privates[number - 1].sign_recoverable(message, hasher=None)
                for message in messages
            )
            for number in custodians
        }

    def signed(self, unsigned: bytes, custodians: Iterable[int] = (1, 2, 3)) -> bytes:
        """The transaction as `assemble` makes it."""
        return custody.assemble(unsigned, self.account, self.signatures(unsigned, custodians))


def custody_set(label: str, *, set_no: int = 1, network: str = NETWORK) -> CustodySet:
    """The set of five keys that `label` names."""
    privates = tuple(key(f"{label} {number}") for number in range(1, 6))
    return set_of(privates, set_no=set_no, network=network)


def set_of(
    privates: tuple[PrivateKey, ...], *, set_no: int = 1, network: str = NETWORK
) -> CustodySet:
    """The custody set of these five keys."""
    ed25519 = tuple(bytes((number,)) * 32 for number in range(1, 6))
    keys = CustodyKeys(tuple(public(private) for private in privates), ed25519)
    place = CustodyPlace("bitcoin", network, 0, WalletKind.HOT, set_no)
    return CustodySet(privates, custody.account(place, keys, ""))


def previous(*outputs: TxOutput, salt: int = 0) -> bytes:
    """A transaction that no chain knows and that pays `outputs`."""
    unknown = TxInput(hashlib.sha256(salt.to_bytes(8, "big")).digest(), 0, b"", 0xFFFFFFFF)
    return transaction_bytes(2, [unknown], outputs, 0)


def bare_witness(unsigned: bytes, stacks: Sequence[Sequence[bytes]]) -> bytes:
    """The unsigned transaction with any witnesses, written without the product's own assembly."""
    tx = parse_psbt(unsigned).transaction
    body = b"".join(
        spent.txid
        + spent.index.to_bytes(4, "little")
        + b"\x00"
        + spent.sequence.to_bytes(4, "little")
        for spent in tx.inputs
    )
    outputs = b"".join(output_bytes(output) for output in tx.outputs)
    witness = b"".join(
        compact_size(len(stack)) + b"".join(compact_size(len(item)) + item for item in stack)
        for stack in stacks
    )
    counted = compact_size(len(tx.inputs)) + body + compact_size(len(tx.outputs)) + outputs
    return b"\x02\x00\x00\x00\x00\x01" + counted + witness + bytes(4)


def kernel_accepts(raw: bytes, spent: Sequence[TxOutput]) -> bool:
    """Whether Bitcoin Core's engine accepts every input; `spent` in the order of the inputs."""
    transaction = pbk.Transaction(raw)
    outputs = [
        pbk.TransactionOutput(pbk.ScriptPubkey(output.script), output.value_sat) for output in spent
    ]
    known = PrecomputedTransactionData(transaction, outputs)
    return all(
        pbk.ScriptPubkey(output.script).verify(
            output.value_sat, transaction, known, index, pbk.ScriptVerificationFlags.ALL
        )
        for index, output in enumerate(spent)
    )


def spent_outputs(unsigned: bytes, coins: Sequence[Coin]) -> list[TxOutput]:
    """The outputs that a PSBT's inputs spend, from the coins that it was built of."""
    known = {}
    for coin in coins:
        transaction = parse_transaction(coin.previous)
        known[transaction.txid, coin.vout] = transaction.outputs[coin.vout]
    return [known[spent.txid, spent.index] for spent in parse_psbt(unsigned).transaction.inputs]


class Chain:
    """A running btcd with a faucet."""

    def __init__(self, node: Btcd) -> None:
        self.faucet = BitcoinFaucet(node)
        self.faucet.prepare()

    def coin(self, address: str, sats: int) -> Coin:
        """A confirmed output that pays `sats` to `address`."""
        raw = bytes.fromhex(self.faucet.fund(address, sats).raw_hex)
        self.faucet.mine()
        outputs = parse_transaction(raw).outputs
        script = script_of(address)
        place = next(index for index, each in enumerate(outputs) if each.script == script)
        return Coin(raw, place)

    def verdict(self, raw: bytes) -> str:
        """Why the mempool would not take the transaction, the empty text if it would; it stays
        outside.
        """
        answer = record(sequence(self.faucet.call("testmempoolaccept", [raw.hex()], 0))[0])
        # btcd leaves a false "allowed" out.
        return "" if answer.get("allowed") is True else text(answer["reject-reason"])

    def accepts(self, raw: bytes) -> bool:
        """Whether the mempool would take the transaction now."""
        return not self.verdict(raw)

    def finds_a_bad_signature(self, raw: bytes) -> bool:
        """Whether the mempool would refuse the transaction, and for its scripts."""
        return self.verdict(raw).startswith("failed to validate input")

    def send(self, raw: bytes) -> str:
        """Into the mempool. Raises RpcRefused."""
        return text(self.faucet.call("sendrawtransaction", raw.hex()))

    def refuses(self, raw: bytes) -> bool:
        """Whether a broadcast is turned down."""
        try:
            self.send(raw)
        except RpcRefused:
            return True
        return False

    def mempool(self) -> set[str]:
        return {text(each) for each in sequence(self.faucet.call("getrawmempool"))}

    def mine(self) -> set[str]:
        """One block; the ids of what it holds, the coinbase among them."""
        block = self.faucet.mine()[0]
        return {text(each) for each in sequence(record(self.faucet.call("getblock", block))["tx"])}

    def unspent_sat(self, coin: Coin) -> int | None:
        """The value of a coin that nothing has spent, None once it is spent."""
        transaction = parse_transaction(coin.previous)
        answer = self.faucet.call("gettxout", transaction.display_id, coin.vout, False)
        return None if answer is None else transaction.outputs[coin.vout].value_sat
