"""Sweeps of wallets' P2WPKH coins before btcd and Bitcoin Core's engine."""

from dataclasses import replace

import pytest
from coincurve import PrivateKey

from infra.local.btcd import Btcd, witness_script
from orion.chains.bitcoin import sweep
from orion.chains.bitcoin.encode import with_witnesses
from orion.chains.bitcoin.psbt_build import Coin, everything_psbt
from orion.chains.bitcoin.wire import parse_transaction
from tests.engine.custody_bitcoin_scene import (
    Chain,
    custody_set,
    kernel_accepts,
    key,
    public,
    recipient,
    script_of,
    spent_outputs,
)

HOT = custody_set("sweep target")
WALLETS = {f"wallet {n}": key(f"wallet {n}") for n in range(3)}
BY_SCRIPT = {witness_script(private): private for private in WALLETS.values()}


@pytest.fixture(scope="module")
def chain(btcd_node: Btcd) -> Chain:
    return Chain(btcd_node)


@pytest.fixture
def coins(chain: Chain) -> list[Coin]:
    """Two coins of the first wallet, one of each other."""
    return [
        chain.coin(recipient(label), 200_000 + n)
        for n, label in enumerate(("wallet 0", "wallet 1", "wallet 2", "wallet 0"))
    ]


def keys_of(unsigned: bytes, coins: list[Coin]) -> list[PrivateKey]:
    return [BY_SCRIPT[output.script] for output in spent_outputs(unsigned, coins)]


def signed(unsigned: bytes, coins: list[Coin]) -> bytes:
    keys = keys_of(unsigned, coins)
    owners = tuple(public(each) for each in keys)
    spend = sweep.decode_sweep(unsigned, owners, "regtest", {})
    signatures = tuple(
        private.sign_recoverable(message, hasher=None)
        for private, message in zip(keys, spend.messages, strict=True)
    )
    return sweep.assemble_sweep(unsigned, owners, "regtest", signatures)


def test_coins_of_several_wallets_reach_the_custody_account(
    chain: Chain, coins: list[Coin]
) -> None:
    unsigned = everything_psbt(coins, HOT.account.address, "regtest", 2_000)
    raw = signed(unsigned, coins)
    assert kernel_accepts(raw, spent_outputs(unsigned, coins))
    assert chain.send(raw) in chain.mine()
    assert [chain.unspent_sat(coin) for coin in coins] == [None] * 4
    assert chain.unspent_sat(Coin(raw, 0)) == 4 * 200_000 + 6 - 2_000
    onward = everything_psbt(
        [Coin(raw, 0)], recipient("shop"), "regtest", 1_000, account=HOT.account
    )
    assert chain.send(HOT.signed(onward, (3, 4, 5))) in chain.mine()


def test_a_sweep_changed_after_signing_is_refused(chain: Chain, coins: list[Coin]) -> None:
    unsigned = everything_psbt(coins, HOT.account.address, "regtest", 2_000)
    transaction = parse_transaction(signed(unsigned, coins))
    (output,) = transaction.outputs
    thief = script_of(recipient("thief"))
    for changed in (
        replace(transaction, outputs=(replace(output, script=thief),)),
        replace(transaction, outputs=(replace(output, value_sat=output.value_sat - 1),)),
        replace(transaction, inputs=transaction.inputs[::-1]),
    ):
        raw = with_witnesses(changed, transaction.witnesses)
        assert not kernel_accepts(raw, spent_outputs(unsigned, coins))
        assert chain.finds_a_bad_signature(raw)
    assert chain.accepts(with_witnesses(transaction, transaction.witnesses))


def test_a_dearer_sweep_replaces_the_first(chain: Chain, coins: list[Coin]) -> None:
    first = chain.send(signed(everything_psbt(coins, HOT.account.address, "regtest", 2_000), coins))
    dearer = everything_psbt(coins, HOT.account.address, "regtest", 9_000)
    second = chain.send(signed(dearer, coins))
    assert first != second
    mined = chain.mine()
    assert second in mined
    assert first not in mined
