"""A void of Bitcoin's claims before two judges: btcd and Bitcoin Core's consensus engine."""

import pytest

from infra.local.btcd import Btcd
from orion.chains.bitcoin import custody
from orion.chains.bitcoin.psbt_build import Coin, Recipient, payment_psbt, void_psbt
from orion.chains.spend import Operation, Spend
from tests.engine.custody_bitcoin_scene import (
    Chain,
    CustodySet,
    custody_set,
    kernel_accepts,
    recipient,
    spent_outputs,
)

SHOP = recipient("shop")
SATS = 1_000_000
PAID_SAT = 400_000
FEE_SAT = 1_000
VOID_FEE_SAT = 5_000


@pytest.fixture(scope="module")
def chain(btcd_node: Btcd) -> Chain:
    return Chain(btcd_node)


@pytest.fixture(scope="module")
def hot() -> CustodySet:
    return custody_set("hot of voids")


def payout(payer: CustodySet, *coins: Coin, fee_sat: int = FEE_SAT) -> bytes:
    return payment_psbt(payer.account, coins, [Recipient(SHOP, PAID_SAT)], fee_sat)


def void(payer: CustodySet, *coins: Coin, fee_sat: int = VOID_FEE_SAT) -> bytes:
    return void_psbt(payer.account, coins, fee_sat)


def read(payer: CustodySet, unsigned: bytes) -> Spend:
    return custody.decode(unsigned, payer.account, {})


def test_a_void_replaces_a_payout_and_its_coin_pays_again(chain: Chain, hot: CustodySet) -> None:
    coin = chain.coin(hot.account.address, SATS)
    first, dearer, ended = payout(hot, coin), payout(hot, coin, fee_sat=3_000), void(hot, coin)
    assert read(hot, ended).operation is Operation.VOID
    assert read(hot, ended).claims == read(hot, first).claims
    before = chain.send(hot.signed(first))
    raw = hot.signed(ended, (2, 3, 5))
    assert kernel_accepts(raw, spent_outputs(ended, [coin]))
    txid = chain.send(raw)
    assert txid == read(hot, ended).version
    assert before not in chain.mempool()
    assert txid in chain.mine()
    for version in (first, dearer):
        assert chain.refuses(hot.signed(version))

    freed = Coin(raw, 0)
    assert chain.unspent_sat(freed) == SATS - VOID_FEE_SAT
    again = payout(hot, freed)
    assert read(hot, again).payments == read(hot, first).payments
    assert chain.send(hot.signed(again)) in chain.mine()


def test_a_void_excludes_a_payout_that_was_never_sent(chain: Chain, hot: CustodySet) -> None:
    coin = chain.coin(hot.account.address, SATS)
    signed = hot.signed(payout(hot, coin, fee_sat=50_000))
    assert chain.send(hot.signed(void(hot, coin))) in chain.mine()
    assert chain.refuses(signed)


def test_a_void_of_one_input_ends_the_whole_payout_and_frees_the_others(
    chain: Chain, hot: CustodySet
) -> None:
    one, other = (chain.coin(hot.account.address, SATS) for _ in range(2))
    both = hot.signed(payout(hot, one, other))
    assert chain.accepts(both)
    assert chain.send(hot.signed(void(hot, one))) in chain.mine()
    assert chain.refuses(both)
    assert chain.unspent_sat(other) == SATS
    assert chain.send(hot.signed(payout(hot, other))) in chain.mine()


def test_a_void_that_shares_no_input_excludes_nothing(chain: Chain, hot: CustodySet) -> None:
    """The hazard that the rule of claims keeps away: a payout thought ended, paid all the same."""
    coin, elsewhere = (chain.coin(hot.account.address, SATS) for _ in range(2))
    paid, ended = payout(hot, coin), void(hot, elsewhere)
    assert not set(read(hot, paid).claims) & set(read(hot, ended).claims)
    done = chain.send(hot.signed(ended))
    assert done in chain.mine()
    assert chain.send(hot.signed(paid)) in chain.mine()


def test_a_void_after_the_payout_is_worth_nothing(chain: Chain, hot: CustodySet) -> None:
    coin = chain.coin(hot.account.address, SATS)
    assert chain.send(hot.signed(payout(hot, coin))) in chain.mine()
    assert chain.refuses(hot.signed(void(hot, coin, fee_sat=100_000)))


def test_a_void_that_pays_no_more_replaces_nothing(chain: Chain, hot: CustodySet) -> None:
    coin = chain.coin(hot.account.address, SATS)
    waiting = chain.send(hot.signed(payout(hot, coin, fee_sat=VOID_FEE_SAT)))
    assert chain.refuses(hot.signed(void(hot, coin)))
    assert waiting in chain.mine()
