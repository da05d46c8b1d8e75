"""The 3-of-5 account before two judges: btcd's mempool and blocks, Bitcoin Core's own engine."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest

from infra.local.btcd import Btcd
from orion.chains.bitcoin import custody
from orion.chains.bitcoin.encode import with_witnesses
from orion.chains.bitcoin.psbt import parse_psbt
from orion.chains.bitcoin.psbt_build import Coin, Recipient, everything_psbt, payment_psbt
from orion.chains.bitcoin.sighash import SegwitDigests
from orion.chains.bitcoin.wire import Transaction, TxOutput, parse_transaction
from orion.chains.spend import SignatureRefused
from tests.engine.custody_bitcoin_scene import (
    Chain,
    CustodySet,
    bare_witness,
    custody_set,
    kernel_accepts,
    key,
    recipient,
    script_of,
    set_of,
    spent_outputs,
)

SHOP = recipient("shop")
SATS = 1_000_000
FEE_SAT = 1_000
THREES = list(combinations(range(1, 6), 3))
TWOS = list(combinations(range(1, 6), 2))


@pytest.fixture(scope="module")
def chain(btcd_node: Btcd) -> Chain:
    return Chain(btcd_node)


@pytest.fixture(scope="module")
def hot() -> CustodySet:
    return custody_set("hot")


def payment(payer: CustodySet, *coins: Coin, sats: int = 400_000, fee_sat: int = FEE_SAT) -> bytes:
    return payment_psbt(payer.account, coins, [Recipient(SHOP, sats)], fee_sat)


def script_signatures(
    payer: CustodySet, message: bytes, custodians: tuple[int, ...]
) -> list[bytes]:
    """Signatures of one input in the script's order, made by libsecp256k1 alone."""
    keys = sorted(
        (payer.privates[number - 1] for number in custodians),
        key=lambda private: bytes(private.public_key.format()),
    )
    return [private.sign(message, hasher=None) + b"\x01" for private in keys]


def only_message(payer: CustodySet, unsigned: bytes) -> bytes:
    (message,) = custody.decode(unsigned, payer.account, {}).messages
    return message


@pytest.mark.parametrize("three", THREES, ids=str)
def test_any_three_custodians_pay(chain: Chain, hot: CustodySet, three: tuple[int, ...]) -> None:
    coin = chain.coin(hot.account.address, SATS)
    unsigned = payment(hot, coin)
    raw = hot.signed(unsigned, three)
    assert kernel_accepts(raw, spent_outputs(unsigned, [coin]))
    txid = chain.send(raw)
    assert txid == custody.decode(unsigned, hot.account, {}).version
    assert txid in chain.mine()


def test_no_two_custodians_pay(chain: Chain, hot: CustodySet) -> None:
    coin = chain.coin(hot.account.address, SATS)
    unsigned = payment(hot, coin)
    spent = spent_outputs(unsigned, [coin])
    script = bytes.fromhex(str(custody.describe(hot.account)["witness_script"]))
    for two in TWOS:
        one, other = script_signatures(hot, only_message(hot, unsigned), two)
        for stack in (
            (b"", one, other, script),
            (b"", one, other, b"", script),
            (b"", b"", one, other, script),
            (b"", one, one, other, script),
            (b"", one, other, other, script),
            (b"", b"", b"", b"", script),
        ):
            raw = bare_witness(unsigned, [stack])
            assert not kernel_accepts(raw, spent)
            assert chain.finds_a_bad_signature(raw)
        with pytest.raises(SignatureRefused):
            hot.signed(unsigned, two)
    # The same road with a third signature is open: the judges refused the twos, not the form.
    three = script_signatures(hot, only_message(hot, unsigned), (1, 3, 5))
    raw = bare_witness(unsigned, [(b"", *three, script)])
    assert kernel_accepts(raw, spent)
    assert chain.accepts(raw)
    assert chain.unspent_sat(coin) == SATS


def test_signatures_in_another_order_than_their_keys_are_refused(
    chain: Chain, hot: CustodySet
) -> None:
    """Why `assemble` sorts: OP_CHECKMULTISIG walks keys and signatures in one direction."""
    coin = chain.coin(hot.account.address, SATS)
    unsigned = payment(hot, coin)
    script = bytes.fromhex(str(custody.describe(hot.account)["witness_script"]))
    three = script_signatures(hot, only_message(hot, unsigned), (1, 2, 3))
    raw = bare_witness(unsigned, [(b"", *reversed(three), script)])
    assert not kernel_accepts(raw, spent_outputs(unsigned, [coin]))
    assert chain.finds_a_bad_signature(raw)


Change = Callable[[Transaction, Coin], Transaction]


def paying(transaction: Transaction, edit: Callable[[TxOutput], TxOutput]) -> Transaction:
    """The transaction with its payment to the shop edited."""
    outputs = tuple(
        edit(output) if output.script == script_of(SHOP) else output
        for output in transaction.outputs
    )
    return replace(transaction, outputs=outputs)


def spending(transaction: Transaction, coin: Coin) -> Transaction:
    """The transaction with its first input replaced."""
    made = parse_transaction(coin.previous)
    first = replace(transaction.inputs[0], txid=made.txid, index=coin.vout)
    return replace(transaction, inputs=(first, *transaction.inputs[1:]))


CHANGES: dict[str, Change] = {
    "amount": lambda tx, _: paying(tx, lambda out: replace(out, value_sat=out.value_sat + 1)),
    "recipient": lambda tx, _: paying(
        tx, lambda out: replace(out, script=script_of(recipient("thief")))
    ),
    "change": lambda tx, _: replace(
        tx, outputs=tuple(each for each in tx.outputs if each.script == script_of(SHOP))
    ),
    "input": spending,
    "sequence": lambda tx, _: replace(
        tx, inputs=(replace(tx.inputs[0], sequence=0xFFFFFFFF), *tx.inputs[1:])
    ),
    "lock time": lambda tx, _: replace(tx, lock_time=1),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_signed_cannot_be_changed(chain: Chain, hot: CustodySet, what: str) -> None:
    coin, other = (chain.coin(hot.account.address, SATS) for _ in range(2))
    unsigned = payment(hot, coin)
    signed = parse_transaction(hot.signed(unsigned))
    changed = CHANGES[what](signed, other)
    raw = with_witnesses(changed, signed.witnesses)
    spent = [parse_transaction((other if what == "input" else coin).previous).outputs]
    place = (other if what == "input" else coin).vout
    assert not kernel_accepts(raw, [spent[0][place]])
    assert chain.finds_a_bad_signature(raw)
    assert chain.refuses(raw)
    assert chain.accepts(with_witnesses(signed, signed.witnesses))


def test_a_value_that_is_a_lie_makes_a_worthless_signature(chain: Chain, hot: CustodySet) -> None:
    """BIP-143 covers the value of the output spent."""
    coin = chain.coin(hot.account.address, SATS)
    unsigned = payment(hot, coin)
    (true,) = spent_outputs(unsigned, [coin])
    raw = hot.signed(unsigned)
    assert not kernel_accepts(raw, [replace(true, value_sat=true.value_sat + 1)])
    assert kernel_accepts(raw, [true])


def test_several_coins_pay_several_recipients_and_change_comes_back(
    chain: Chain, hot: CustodySet
) -> None:
    coins = [chain.coin(hot.account.address, SATS + n) for n in range(3)]
    recipients = [Recipient(recipient(f"payee {n}"), 500_000 + n) for n in range(4)]
    unsigned = payment_psbt(hot.account, coins, recipients, 2_500)
    spend = custody.decode(unsigned, hot.account, {})
    raw = hot.signed(unsigned, (5, 3, 1))
    assert kernel_accepts(raw, spent_outputs(unsigned, coins))
    assert chain.send(raw) in chain.mine()
    returned = [each for each in parse_transaction(raw).outputs if each.script == hot.script]
    paid = sum(each.units for each in spend.payments)
    assert [each.value_sat for each in returned] == [3 * SATS + 3 - paid - spend.fee_max_units]


def test_a_version_with_the_same_inputs_replaces_the_first(chain: Chain, hot: CustodySet) -> None:
    coin, more = (chain.coin(hot.account.address, SATS) for _ in range(2))
    first = payment(hot, coin)
    dearer = payment(hot, coin, fee_sat=5_000)
    dearest = payment(hot, coin, more, sats=400_000, fee_sat=20_000)
    spends = [custody.decode(each, hot.account, {}) for each in (first, dearer, dearest)]
    assert len({spend.version for spend in spends}) == 3
    assert all(spend.payments == spends[0].payments for spend in spends)
    assert spends[1].claims == spends[0].claims
    assert set(spends[0].claims) < set(spends[2].claims)
    chain.send(hot.signed(first))
    for version, before in ((dearer, spends[0].version), (dearest, spends[1].version)):
        raw = hot.signed(version, (2, 4, 5))
        known = spent_outputs(version, [coin, more])
        assert kernel_accepts(raw, known)
        txid = chain.send(raw)
        assert txid in chain.mempool()
        assert before not in chain.mempool()
    mined = chain.mine()
    assert {spend.version for spend in spends} & mined == {spends[2].version}
    assert chain.refuses(hot.signed(first))
    assert chain.refuses(hot.signed(dearer))


def test_without_a_shared_claim_both_versions_pay(chain: Chain, hot: CustodySet) -> None:
    """The hazard that the rule of claims keeps away: one payout, paid twice."""
    one, other = (chain.coin(hot.account.address, SATS) for _ in range(2))
    versions = [payment(hot, one), payment(hot, other)]
    spends = [custody.decode(each, hot.account, {}) for each in versions]
    assert spends[0].payments == spends[1].payments
    assert not set(spends[0].claims) & set(spends[1].claims)
    txids = {chain.send(hot.signed(each)) for each in versions}
    assert txids <= chain.mine()


def test_a_rotation_moves_everything_and_the_old_keys_are_worth_nothing(
    chain: Chain, hot: CustodySet
) -> None:
    old = custody_set("before rotation")
    fresh = set_of((*old.privates[:4], key("custodian 5, new")), set_no=2)
    assert old.account.address != fresh.account.address
    coins = [chain.coin(old.account.address, SATS + n) for n in range(3)]
    unsigned = everything_psbt(coins, fresh.account.address, "regtest", 3_000, account=old.account)
    (moved,) = custody.decode(unsigned, old.account, {}).payments
    assert moved.recipient == fresh.account.address
    assert moved.units == 3 * SATS + 3 - 3_000
    raw = old.signed(unsigned, (1, 2, 5))
    assert kernel_accepts(raw, spent_outputs(unsigned, coins))
    chain.send(raw)
    chain.mine()
    assert [chain.unspent_sat(coin) for coin in coins] == [None, None, None]
    new_coin = Coin(raw, 0)
    assert chain.unspent_sat(new_coin) == moved.units

    next_payment = payment(fresh, new_coin)
    (spent,) = spent_outputs(next_payment, [new_coin])
    message = only_message(fresh, next_payment)
    script = bytes.fromhex(str(custody.describe(fresh.account)["witness_script"]))
    retired = old.privates[4].sign(message, hasher=None) + b"\x01"
    kept = script_signatures(fresh, message, (1, 2))
    for place in range(3):
        stolen = bare_witness(next_payment, [(b"", *kept[:place], retired, *kept[place:], script)])
        assert not kernel_accepts(stolen, [spent])
        assert chain.finds_a_bad_signature(stolen)
    with pytest.raises(SignatureRefused):
        custody.assemble(
            next_payment,
            fresh.account,
            {
                **fresh.signatures(next_payment, (1, 2)),
                5: (old.privates[4].sign_recoverable(message, hasher=None),),
            },
        )
    assert chain.send(fresh.signed(next_payment, (1, 2, 5))) in chain.mine()


def test_a_version_that_pays_no_more_replaces_nothing(chain: Chain, hot: CustodySet) -> None:
    coin = chain.coin(hot.account.address, SATS)
    first = chain.send(hot.signed(payment(hot, coin)))
    assert chain.refuses(hot.signed(payment(hot, coin, sats=400_001)))
    assert first in chain.mine()


def test_a_transaction_with_another_sequence_cannot_be_replaced(
    chain: Chain, hot: CustodySet
) -> None:
    """Why `decode` wants 0xfffffffd: a stuck payment could not be helped by a higher fee."""
    coin = chain.coin(hot.account.address, SATS)
    unsigned = payment(hot, coin)
    (spent,) = spent_outputs(unsigned, [coin])
    signalling = parse_psbt(unsigned).transaction
    silent = replace(signalling, inputs=(replace(signalling.inputs[0], sequence=0xFFFFFFFE),))
    script = bytes.fromhex(str(custody.describe(hot.account)["witness_script"]))
    digest = SegwitDigests(silent).of(0, script, spent.value_sat)
    three = script_signatures(hot, digest, (1, 2, 3))
    txid = chain.send(with_witnesses(silent, [(b"", *three, script)]))
    assert chain.refuses(hot.signed(payment(hot, coin, fee_sat=50_000)))
    assert txid in chain.mine()
