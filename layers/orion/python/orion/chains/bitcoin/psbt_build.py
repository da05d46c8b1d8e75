"""PSBTs as `custody` and `sweep` read them. Pure: the same coins and payments give the same bytes.

Inputs and outputs stand in the order of BIP-69, so neither their order nor anybody's choice of it
tells which output is change. Lock time 0, every input replaceable (BIP-125).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orion.chains.bitcoin.address import Kind, parse_address
from orion.chains.bitcoin.encode import output_bytes, transaction_bytes, without_witnesses
from orion.chains.bitcoin.multisig import output_script, witness_script
from orion.chains.bitcoin.psbt import (
    Field,
    FieldMap,
    InputField,
    OutputField,
    psbt_bytes,
    unsigned_field,
)
from orion.chains.bitcoin.psbt_review import LOCK_TIME, SEQUENCE, TRANSACTION_VERSION
from orion.chains.bitcoin.sighash import SIGHASH_ALL
from orion.chains.bitcoin.wire import Transaction, TxInput, TxOutput, parse_transaction
from orion.chains.spend import CustodyAccount
from orion.errors import OrionError

# Below these nodes do not relay an output: spending it would cost more than it holds at 3 sat a
# virtual byte (Bitcoin Core, GetDustThreshold at the default dustrelayfee).
DUST_SAT = {
    Kind.P2PKH: 546,
    Kind.P2SH: 540,
    Kind.P2WPKH: 294,
    Kind.P2WSH: 330,
    Kind.P2TR: 330,
}


class UnbuildablePayment(OrionError):
    """Coins and payments that make no transaction. The field `reason` is `no_coins`, `coin`,
    `no_payments`, `dust`, `recipient` or `short`.
    """

    code = "unbuildable_payment"


@dataclass(frozen=True, slots=True)
class Coin:
    """An output to spend: the transaction that made it, as the chain has it, and its index."""

    previous: bytes
    vout: int


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom to pay how much."""

    address: str
    sats: int


def payment_psbt(
    account: CustodyAccount, coins: Sequence[Coin], recipients: Sequence[Recipient], fee_sat: int
) -> bytes:
    """A payment out of a custody account, change back to it.

    Change below its dust threshold goes to the miners: of 100,000 sat, paying 99,000 with a fee of
    800 leaves 200, and the fee becomes 1,000. A next version with a higher fee is the same call
    with the same coins, or with more of them. Raises UnbuildablePayment, MalformedBlock,
    MalformedAddress, WrongNetworkAddress.
    """
    script = witness_script(account.keys.secp256k1)
    outputs = [_output(each, account.place.network) for each in recipients]
    if not outputs:
        raise UnbuildablePayment("nobody to pay", reason="no_payments")
    spent = _spent(coins)
    change_sat = _left(spent, fee_sat, sum(output.value_sat for output in outputs))
    if change_sat >= DUST_SAT[Kind.P2WSH]:
        outputs.append(TxOutput(change_sat, output_script(script)))
    return _psbt(spent, outputs, script)


def everything_psbt(
    coins: Sequence[Coin],
    address: str,
    network: str,
    fee_sat: int,
    *,
    account: CustodyAccount | None = None,
) -> bytes:
    """All of `coins` less the fee to one address: a rotation (`account` is the one that they leave)
    or a sweep of P2WPKH coins (no account). Raises as `payment_psbt`.
    """
    script = None if account is None else witness_script(account.keys.secp256k1)
    spent = _spent(coins)
    output = _output(Recipient(address, _left(spent, fee_sat, 0)), network)
    return _psbt(spent, [output], script)


def void_psbt(account: CustodyAccount, coins: Sequence[Coin], fee_sat: int) -> bytes:
    """All of `coins` less the fee back to their own account: once it is final, nothing else that
    spends one of them can be.

    To replace a transaction that nodes hold already, `fee_sat` must exceed its fee, and those of
    all that spend its outputs (BIP-125, rules 3 and 4). Raises as `payment_psbt`.
    """
    return everything_psbt(coins, account.address, account.place.network, fee_sat, account=account)


@dataclass(frozen=True, slots=True)
class _Spent:
    previous: Transaction
    vout: int

    @property
    def output(self) -> TxOutput:
        return self.previous.outputs[self.vout]


def _spent(coins: Sequence[Coin]) -> list[_Spent]:
    """The coins in BIP-69's order: by id as people write it, then by index."""
    if not coins:
        raise UnbuildablePayment("nothing to spend", reason="no_coins")
    spent = [_Spent(parse_transaction(coin.previous), coin.vout) for coin in coins]
    for each in spent:
        if not 0 <= each.vout < len(each.previous.outputs):
            raise UnbuildablePayment("no such output", reason="coin", vout=each.vout)
    spent.sort(key=lambda each: (each.previous.txid[::-1], each.vout))
    if len({(each.previous.txid, each.vout) for each in spent}) != len(spent):
        raise UnbuildablePayment("a coin stands twice", reason="coin")
    return spent


def _left(spent: Sequence[_Spent], fee_sat: int, paid_sat: int) -> int:
    left = sum(each.output.value_sat for each in spent) - paid_sat - fee_sat
    if left < 0 or fee_sat < 0:
        raise UnbuildablePayment(
            "the coins do not cover payments and fee", reason="short", missing_sat=max(-left, 0)
        )
    return left


def _output(recipient: Recipient, network: str) -> TxOutput:
    address = parse_address(recipient.address, network)
    dust_sat = DUST_SAT.get(address.kind)
    if dust_sat is None:
        raise UnbuildablePayment("a witness version without a meaning yet", reason="recipient")
    if recipient.sats < dust_sat:
        raise UnbuildablePayment("not relayed: below dust", reason="dust", dust_sat=dust_sat)
    return TxOutput(recipient.sats, address.script)


def _psbt(spent: Sequence[_Spent], outputs: Sequence[TxOutput], script: bytes | None) -> bytes:
    ordered = sorted(outputs, key=lambda output: (output.value_sat, output.script))
    inputs = [TxInput(each.previous.txid, each.vout, b"", SEQUENCE) for each in spent]
    transaction = parse_transaction(
        transaction_bytes(TRANSACTION_VERSION, inputs, ordered, LOCK_TIME)
    )
    return psbt_bytes(
        (unsigned_field(transaction),),
        [_input_map(each, script) for each in spent],
        [_output_map(output, script) for output in ordered],
    )


def _input_map(spent: _Spent, script: bytes | None) -> FieldMap:
    """The previous transaction without witnesses, which its id does not cover; the output spent
    once more, for signers that want to see that it is segwit.
    """
    fields = (
        Field(InputField.NON_WITNESS_UTXO, b"", without_witnesses(spent.previous)),
        Field(InputField.WITNESS_UTXO, b"", output_bytes(spent.output)),
        Field(InputField.SIGHASH_TYPE, b"", SIGHASH_ALL.to_bytes(4, "little")),
    )
    if script is None:
        return fields
    return (*fields, Field(InputField.WITNESS_SCRIPT, b"", script))


def _output_map(output: TxOutput, script: bytes | None) -> FieldMap:
    if script is not None and output.script == output_script(script):
        return (Field(OutputField.WITNESS_SCRIPT, b"", script),)
    return ()
