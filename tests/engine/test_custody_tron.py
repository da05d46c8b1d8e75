"""3 of 5 on the Tron engine: who can spend from the account, who can change it, and who cannot."""

from collections.abc import Callable, Iterator
from itertools import combinations

import pytest
from coincurve import PrivateKey

from infra.local.stack import Stack
from infra.local.tron_node import TronNode
from orion.chains.secp256k1 import ORDER
from orion.chains.spend import SpendRefused
from orion.chains.tron import building, creation, custody
from orion.chains.tron.permissions import ACTIVE_PERMISSION_ID, permission_update
from orion.chains.tron.raw_data import RawData, digest, encode
from orion.chains.tron.signed import transaction
from tests.engine.custody_tron_scene import (
    Token,
    Vault,
    accepted,
    activated,
    deploy_token,
    frame,
    handed_over,
    info,
    refused,
    sign,
    signed_by,
    with_keys,
)
from tests.engine.tron_scene import TRX, Judge, judging

pytestmark = pytest.mark.engine

_THREES = tuple(combinations(range(1, 6), 3))
_TWOS = tuple(combinations(range(1, 6), 2))


@pytest.fixture(scope="module")
def tron(engines: Stack) -> TronNode:
    engines.start("tron")
    return engines.tron


@pytest.fixture(scope="module")
def judge(tron: TronNode) -> Iterator[Judge]:
    with judging(tron) as found:
        yield found


@pytest.fixture(scope="module")
def token(judge: Judge) -> Token:
    return deploy_token(judge)


@pytest.fixture(scope="module")
def vault(judge: Judge, token: Token) -> Vault:
    made = handed_over(judge)
    token.mint(made.account.address, 1_000_000)
    return made


def test_the_handover_leaves_exactly_the_described_permissions(judge: Judge) -> None:
    made = handed_over(judge, 200 * TRX)
    told = judge.node.call("/wallet/getaccount", {"address": made.account.address, "visible": True})
    described = custody.describe(made.account)
    assert told["owner_permission"] == described["owner_permission"]
    assert told["active_permission"] == described["active_permission"]
    assert made.account.address not in str(told["owner_permission"])


def test_the_handover_costs_no_more_than_its_account_was_told_to_hold(judge: Judge) -> None:
    made = activated(judge, 150 * TRX)
    unsigned = creation.handover(made.account, frame(made.node))
    cost = creation.creation_cost(unsigned)
    before = made.balance()
    accepted(made.node, signed_by(unsigned, made.named_by))
    assert 100 * TRX <= before - made.balance() <= cost.handover_sun


def test_an_account_with_less_than_the_handovers_cost_stays_as_it_was(judge: Judge) -> None:
    made = activated(judge, 100 * TRX - 1)
    unsigned = creation.handover(made.account, frame(made.node))
    assert refused(made.node, signed_by(unsigned, made.named_by)).startswith("CONTRACT_EXE_ERROR")


def test_the_group_key_is_powerless_after_the_handover(vault: Vault, token: Token) -> None:
    to = vault.judge.faucet.address
    attempts = [
        vault.transfer(to, 1),
        vault.transfer(to, 1, permission=0),
        vault.token_transfer(token.address, to, 1),
        vault.token_transfer(token.address, to, 1, permission=0),
        creation.handover(vault.account, frame(vault.node)),
        building.update(
            vault.account.address, custody.owner_addresses(vault.account.keys), frame(vault.node)
        ),
    ]
    for unsigned in attempts:
        words = refused(vault.node, signed_by(unsigned, vault.named_by))
        assert words.startswith("SIGERROR")
        assert "is not contained of permission" in words


def test_every_three_custodians_pay_trx(vault: Vault) -> None:
    to = vault.judge.funded().address
    before = vault.judge.balance(to)
    for amount, chosen in enumerate(_THREES, start=1):
        unsigned = vault.transfer(to, amount)
        spend = custody.decode(unsigned, vault.account, {})
        txid = accepted(vault.node, vault.assembled(unsigned, *chosen))
        assert txid == spend.version
        assert info(vault.node, txid)["fee"] <= spend.fee_max_units
    assert len(_THREES) == 10
    assert vault.judge.balance(to) == before + sum(range(1, 11))


def test_every_three_custodians_pay_tokens(vault: Vault, token: Token) -> None:
    to = vault.judge.fresh().address
    for units, chosen in enumerate(_THREES, start=1):
        unsigned = vault.token_transfer(token.address, to, units)
        spend = custody.decode(unsigned, vault.account, token.contracts)
        txid = accepted(vault.node, vault.assembled(unsigned, *chosen))
        told = info(vault.node, txid)
        assert told["receipt"]["result"] == "SUCCESS"
        assert told["fee"] <= spend.fee_max_units
    assert token.units(to) == sum(range(1, 11))


def test_no_two_custodians_pay_anything(vault: Vault, token: Token) -> None:
    to = vault.judge.faucet.address
    for amount, chosen in enumerate(_TWOS, start=1):
        keys = [vault.keys[number - 1] for number in chosen]
        for unsigned in (
            vault.transfer(to, amount),
            vault.token_transfer(token.address, to, amount),
        ):
            words = refused(vault.node, signed_by(unsigned, *keys))
            assert words == "SIGERROR: Validate signature error: sig error"
    assert len(_TWOS) == 10


def test_no_two_custodians_rotate_and_no_stranger_helps_them(vault: Vault) -> None:
    target = custody.owner_addresses(vault.account.keys)
    unsigned = building.update(vault.account.address, target, frame(vault.node))
    for chosen in _TWOS:
        keys = [vault.keys[number - 1] for number in chosen]
        assert refused(vault.node, signed_by(unsigned, *keys)).endswith("sig error")
        for helper in (vault.named_by, PrivateKey()):
            words = refused(vault.node, signed_by(unsigned, *keys, helper))
            assert "is not contained of permission" in words


def test_the_active_permission_changes_no_permissions(vault: Vault) -> None:
    update = permission_update(vault.account.address, custody.owner_addresses(vault.account.keys))
    unsigned = encode(RawData(frame(vault.node), update, ACTIVE_PERMISSION_ID))
    with pytest.raises(SpendRefused) as stopped:
        custody.decode(unsigned, vault.account, {})
    assert stopped.value.fields["reason"] == "permission"
    # Though all five sign.
    words = refused(vault.node, signed_by(unsigned, *vault.keys))
    assert words == "SIGERROR: Validate signature error: Permission denied"


_OTHER_ACTIONS: dict[str, Callable[[str, str], list[object]]] = {
    "freezeBalanceV2": lambda me, _to: [TRX, "ENERGY", me],
    "unfreezeBalanceV2": lambda me, _to: [TRX, "ENERGY", me],
    "undelegateResource": lambda me, to: [TRX, to, "ENERGY", me],
    "createAccount": lambda me, to: [to, me],
}


@pytest.mark.parametrize("method", _OTHER_ACTIONS)
def test_the_active_permission_does_nothing_but_transfers_and_calls(
    vault: Vault, method: str
) -> None:
    args = _OTHER_ACTIONS[method](vault.account.address, vault.judge.faucet.address)
    under_active = {"permissionId": ACTIVE_PERMISSION_ID}
    built = vault.judge.ask("builder", method, *args, under_active)
    unsigned = bytes.fromhex(built["raw_data_hex"])
    with pytest.raises(SpendRefused) as stopped:
        custody.decode(unsigned, vault.account, {})
    assert stopped.value.fields["reason"] == "contract_type"
    assert refused(vault.node, signed_by(unsigned, *vault.keys)).endswith("Permission denied")


def test_an_amount_or_recipient_changed_after_signing_is_refused(
    vault: Vault, token: Token
) -> None:
    to, thief = vault.judge.faucet.address, vault.judge.fresh().address
    honest, account = frame(vault.node), vault.account.address

    def pays(recipient: str, units: int) -> list[bytes]:
        return [
            building.transfer(account, recipient, units, honest, ACTIVE_PERMISSION_ID),
            building.token_transfer(
                account, token.address, recipient, units, TRX, honest, ACTIVE_PERMISSION_ID
            ),
        ]

    for which, unsigned in enumerate(pays(to, 5)):
        signatures = [sign(key, unsigned) for key in vault.keys[:3]]
        for changed in (pays(to, 6)[which], pays(thief, 5)[which]):
            assert refused(vault.node, transaction(changed, signatures)).startswith("SIGERROR")


def test_one_custodians_key_counts_once_however_often_it_signs(vault: Vault) -> None:
    unsigned = vault.transfer(vault.judge.faucet.address, 7)
    one, other = vault.keys[0], vault.keys[1]
    first = sign(one, unsigned)
    # The same signature with the other s, and one with another nonce.
    high_s = (ORDER - int.from_bytes(first[32:64], "big")).to_bytes(32, "big")
    mirrored = first[:32] + high_s + bytes([first[64] ^ 1])
    another = _with_another_nonce(one, digest(unsigned))
    assert len({first, mirrored, another}) == 3
    for second in (first, mirrored, another):
        signed = transaction(unsigned, [first, second, sign(other, unsigned)])
        assert refused(vault.node, signed).endswith("has signed twice!")


def _with_another_nonce(key: PrivateKey, message: bytes) -> bytes:
    """A signature with nonce 2 instead of RFC 6979's, by hand."""
    nonce = 2
    x_y = PrivateKey(nonce.to_bytes(32, "big")).public_key.point()
    r, z = x_y[0] % ORDER, int.from_bytes(message, "big")
    s = pow(nonce, -1, ORDER) * (z + r * key.to_int()) % ORDER
    odd = x_y[1] & 1
    if s > ORDER // 2:
        s, odd = ORDER - s, odd ^ 1
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([odd])


def test_a_rotation_replaces_one_key_and_the_old_one_is_worth_nothing(
    judge: Judge, token: Token
) -> None:
    made = handed_over(judge, 1_000 * TRX)
    token.mint(made.account.address, 100)
    old, new = made.keys[4], PrivateKey()
    after = with_keys(made, (*made.keys[:4], new))
    unsigned = building.rotation(made.account, after.account.keys, frame(made.node))
    spend = custody.decode(unsigned, made.account, token.contracts)
    assert spend.owners_after == custody.owner_addresses(after.account.keys)
    # The old key may still sign its own removal.
    txid = accepted(made.node, made.assembled(unsigned, 1, 2, 5))
    assert info(made.node, txid)["fee"] <= spend.fee_max_units
    to = judge.faucet.address
    for paying in (after.transfer(to, 9), after.token_transfer(token.address, to, 9)):
        words = refused(made.node, signed_by(paying, *made.keys[:2], old))
        assert "is not contained of permission" in words
        accepted(made.node, after.assembled(paying, 1, 2, 5))
    back = building.rotation(after.account, made.account.keys, frame(made.node))
    assert refused(made.node, signed_by(back, *made.keys[:2], old)).startswith("SIGERROR")
    accepted(made.node, after.assembled(back, 3, 4, 5))


def test_a_payment_signed_before_a_rotation_needs_the_new_keys(judge: Judge) -> None:
    made = handed_over(judge, 1_000 * TRX)
    paying = made.transfer(judge.faucet.address, 11)
    signed = made.assembled(paying, 1, 2, 5)
    after = with_keys(made, (*made.keys[:4], PrivateKey()))
    rotation = building.rotation(made.account, after.account.keys, frame(made.node))
    accepted(made.node, made.assembled(rotation, 1, 2, 3))
    assert "is not contained of permission" in refused(made.node, signed)


def test_an_expired_payment_is_refused_and_the_next_version_pays_once(vault: Vault) -> None:
    to = vault.judge.funded().address
    before = vault.judge.balance(to)
    soon = frame(vault.node, valid_ms=1)
    unsigned = building.transfer(vault.account.address, to, 13, soon, ACTIVE_PERMISSION_ID)
    first = vault.assembled(unsigned, 1, 2, 3)
    vault.node.mine()
    # The head is of the first version's expiration or later: no block can hold it any more.
    assert _head_ms(vault.node) >= custody.expiration_ms(unsigned)
    assert refused(vault.node, first).startswith("TRANSACTION_EXPIRATION_ERROR")
    next_unsigned = vault.transfer(to, 13)
    versions = [custody.decode(one, vault.account, {}) for one in (unsigned, next_unsigned)]
    assert versions[0].payments == versions[1].payments
    assert versions[0].version != versions[1].version
    accepted(vault.node, vault.assembled(next_unsigned, 2, 3, 4))
    assert refused(vault.node, first).startswith("TRANSACTION_EXPIRATION_ERROR")
    assert vault.judge.balance(to) == before + 13


def test_a_payment_is_taken_once_whoever_signs_it(vault: Vault) -> None:
    unsigned = vault.transfer(vault.judge.faucet.address, 17)
    accepted(vault.node, vault.assembled(unsigned, 1, 3, 5))
    for chosen in ((1, 3, 5), (2, 3, 4)):
        words = refused(vault.node, vault.assembled(unsigned, *chosen))
        assert words.startswith("DUP_TRANSACTION_ERROR")


def _head_ms(node: TronNode) -> int:
    header = node.call("/wallet/getnowblock")["block_header"]
    assert isinstance(header, dict)
    return int(header["raw_data"]["timestamp"])
