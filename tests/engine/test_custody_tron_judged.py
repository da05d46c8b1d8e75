"""tronweb reads what we build and assemble; fees stay within what was announced; sweeps."""

from collections.abc import Iterator
from typing import Any

import pytest
from coincurve import PrivateKey

from infra.local.stack import Stack
from infra.local.tron_node import TronNode
from orion.chains.spend import Payment, SignatureRefused
from orion.chains.tron import building, creation, custody
from orion.chains.tron.fees import FEES
from orion.chains.tron.permissions import ACTIVE_PERMISSION_ID, OPERATIONS, address_of_key
from orion.chains.tron.raw_data import OWNER_PERMISSION_ID
from orion.chains.tron.sweep import assemble_sweep, decode_sweep
from tests.engine.custody_tron_scene import (
    FEE_LIMIT,
    Token,
    Vault,
    accepted,
    deploy_token,
    frame,
    handed_over,
    info,
    public,
    refused,
    set_of,
    sign,
    signed_by,
)
from tests.engine.tron_scene import TRX, Judge, judging, refusal

pytestmark = pytest.mark.engine


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


def _read(vault: Vault, signed: bytes, kind: str) -> dict[str, Any]:
    """tronweb's reading; the bytes must be the ones that it would write."""
    told: dict[str, Any] = vault.judge.ask("wire", "read", signed.hex(), kind)
    assert told["again"] == signed.hex()
    return told


def _base58(vault: Vault, hexadecimal: str) -> str:
    return str(vault.judge.ask("address", "fromHex", hexadecimal))


def _addresses(vault: Vault, *custodians: int) -> list[str]:
    return [address_of_key(public(vault.keys[number - 1])) for number in custodians]


def test_tronweb_reads_a_trx_payment_as_we_do(vault: Vault) -> None:
    to = vault.judge.fresh().address
    unsigned = vault.transfer(to, 2**53 - 1)
    spend = custody.decode(unsigned, vault.account, {})
    told = _read(vault, vault.assembled(unsigned, 2, 4, 5), "TransferContract")
    assert told["txid"] == spend.version
    assert told["raw_data_hex"] == unsigned.hex()
    assert told["signers"] == _addresses(vault, 2, 4, 5)
    (contract,) = told["raw_data"]["contract"]
    assert contract["Permission_id"] == ACTIVE_PERMISSION_ID
    value = contract["parameter"]["value"]
    assert _base58(vault, value["owner_address"]) == vault.account.address
    read = Payment("TRX.tron", _base58(vault, value["to_address"]), value["amount"])
    assert spend.payments == (read,)
    assert told["raw_data"]["expiration"] == custody.expiration_ms(unsigned)
    assert told["raw_data"]["fee_limit"] == 0


def test_tronweb_reads_a_token_payment_as_we_do(vault: Vault, token: Token) -> None:
    to, units = vault.judge.fresh().address, 2**96 + 12
    unsigned = vault.token_transfer(token.address, to, units)
    spend = custody.decode(unsigned, vault.account, token.contracts)
    told = _read(vault, vault.assembled(unsigned, 1, 2, 3), "TriggerSmartContract")
    assert told["txid"] == spend.version
    assert told["signers"] == _addresses(vault, 1, 2, 3)
    assert told["raw_data"]["fee_limit"] == FEE_LIMIT
    (contract,) = told["raw_data"]["contract"]
    assert contract["Permission_id"] == ACTIVE_PERMISSION_ID
    value = contract["parameter"]["value"]
    assert _base58(vault, value["contract_address"]) == token.address
    assert (value["call_value"], value["call_token_value"], value["token_id"]) == (0, 0, 0)
    assert value["data"].lower() == _calldata(vault, token, to, units)
    assert spend.payments == (Payment("USDT.tron", to, units),)


def _calldata(vault: Vault, token: Token, to: str, units: int) -> str:
    """tronweb's own ABI coding of the call."""
    parameters = [{"type": "address", "value": to}, {"type": "uint256", "value": str(units)}]
    options = {"txLocal": True, "feeLimit": FEE_LIMIT}
    built = vault.judge.ask(
        "builder",
        "triggerSmartContract",
        token.address,
        "transfer(address,uint256)",
        options,
        parameters,
        vault.account.address,
    )
    (contract,) = built["transaction"]["raw_data"]["contract"]
    return str(contract["parameter"]["value"]["data"]).lower()


def test_tronweb_reads_a_rotation_as_we_do(vault: Vault) -> None:
    target = set_of([PrivateKey() for _ in range(5)])
    unsigned = building.rotation(vault.account, target, frame(vault.node))
    spend = custody.decode(unsigned, vault.account, {})
    signed = vault.assembled(unsigned, 1, 3, 4)
    told = _read(vault, signed, "AccountPermissionUpdateContract")
    assert told["txid"] == spend.version
    assert told["signers"] == _addresses(vault, 1, 3, 4)
    (contract,) = told["raw_data"]["contract"]
    assert contract["Permission_id"] == OWNER_PERMISSION_ID
    value = contract["parameter"]["value"]
    (active,) = value["actives"]
    for permission in (value["owner"], active):
        found = [(_base58(vault, key["address"]), key["weight"]) for key in permission["keys"]]
        assert found == [(owner, 1) for owner in spend.owners_after]
        assert permission["threshold"] == 3
    assert active["operations"].lower() == OPERATIONS.hex()
    assert not value.get("witness")


@pytest.mark.parametrize("amount", [1, 127, 128, 2**53 - 1])
def test_tronweb_builds_the_same_bytes_for_a_payment(vault: Vault, amount: int) -> None:
    to = vault.judge.fresh().address
    built = vault.judge.ask(
        "builder", "sendTrx", to, amount, vault.account.address, {"permissionId": 2}
    )
    unsigned = bytes.fromhex(built["raw_data_hex"])
    spend = custody.decode(unsigned, vault.account, {})
    assert spend.version == built["txID"]
    assert spend.payments == (Payment("TRX.tron", to, amount),)


def test_tronweb_signs_as_we_do_but_writes_recovery_ids_from_27(vault: Vault) -> None:
    unsigned = vault.transfer(vault.judge.faucet.address, 3)
    told = _read(vault, vault.assembled(unsigned, 1, 2, 3), "TransferContract")
    transaction = {
        "txID": told["txid"],
        "raw_data": told["raw_data"],
        "raw_data_hex": told["raw_data_hex"],
    }
    key = vault.keys[0].to_hex()
    signed = vault.judge.ask("trx", "multiSign", transaction, key, 2, key=key)
    signature = bytes.fromhex(signed["signature"][0])
    assert signature[:64] == sign(vault.keys[0], unsigned)[:64]
    assert signature[64] == sign(vault.keys[0], unsigned)[64] + 27
    with pytest.raises(SignatureRefused):
        custody.assemble(
            unsigned,
            vault.account,
            {**vault.signatures(unsigned, 2, 3), 1: (signature,)},
        )


def _without_free_bandwidth(vault: Vault) -> None:
    """Use up the day's 600 bytes: no payment of these fits twice."""
    for amount in (1, 2):
        unsigned = vault.transfer(vault.judge.faucet.address, amount)
        accepted(vault.node, vault.assembled(unsigned, 1, 2, 3))


def test_a_failing_call_that_all_five_sign_costs_exactly_the_announced_maximum(
    vault: Vault, token: Token
) -> None:
    _without_free_bandwidth(vault)
    unsigned = vault.token_transfer(token.address, vault.judge.fresh().address, 1, fee_limit=TRX)
    spend = custody.decode(unsigned, vault.account, token.contracts)
    before = vault.balance()
    txid = accepted(vault.node, signed_by(unsigned, *vault.keys))
    told = info(vault.node, txid)
    assert told["receipt"]["result"] == "OUT_OF_ENERGY"
    assert told["fee"] == spend.fee_max_units
    assert before - vault.balance() == spend.fee_max_units


def test_a_rotation_that_all_five_sign_costs_exactly_the_announced_maximum(
    judge: Judge,
) -> None:
    made = handed_over(judge, 300 * TRX)
    unsigned = building.rotation(made.account, made.account.keys, frame(made.node))
    spend = custody.decode(unsigned, made.account, {})
    assert creation.creation_cost(unsigned).handover_sun < spend.fee_max_units
    txid = accepted(made.node, signed_by(unsigned, *made.keys))
    assert info(made.node, txid)["fee"] == spend.fee_max_units


def test_a_payment_costs_the_announced_maximum_without_what_an_activation_costs(
    vault: Vault,
) -> None:
    _without_free_bandwidth(vault)
    unsigned = vault.transfer(vault.judge.faucet.address, 3)
    spend = custody.decode(unsigned, vault.account, {})
    txid = accepted(vault.node, signed_by(unsigned, *vault.keys))
    assert info(vault.node, txid)["fee"] == spend.fee_max_units - FEES.new_account_sun


def test_a_payment_that_activates_its_recipient_stays_within_the_announced_maximum(
    vault: Vault,
) -> None:
    unsigned = vault.transfer(vault.judge.fresh().address, 3)
    spend = custody.decode(unsigned, vault.account, {})
    txid = accepted(vault.node, vault.assembled(unsigned, 1, 2, 3))
    fee = info(vault.node, txid)["fee"]
    assert fee == FEES.new_account_sun + FEES.new_account_bandwidth_sun + FEES.multi_signature_sun
    assert fee <= spend.fee_max_units


def test_the_prices_that_custodians_count_are_the_nodes(tron: TronNode) -> None:
    listed = tron.call("/wallet/getchainparameters")["chainParameter"]
    assert isinstance(listed, list)
    told = {one["key"]: one.get("value", 0) for one in listed}
    assert told["getTransactionFee"] == FEES.bandwidth_sun_byte
    assert told["getMultiSignFee"] == FEES.multi_signature_sun
    assert told["getCreateNewAccountFeeInSystemContract"] == FEES.new_account_sun
    assert told["getCreateAccountFee"] == FEES.new_account_bandwidth_sun
    assert told["getUpdateAccountPermissionFee"] == FEES.permission_update_sun


def _deposit(judge: Judge, token: Token) -> PrivateKey:
    """A deposit address with TRX and tokens, by its key."""
    key = PrivateKey()
    address = address_of_key(public(key))
    answer = judge.pay(judge.faucet, address, 50 * TRX)
    assert answer.get("result") is True, refusal(answer)
    judge.node.mine()
    token.mint(address, 700)
    return key


def test_a_deposit_address_sweeps_its_tokens_and_its_trx(vault: Vault, token: Token) -> None:
    key = _deposit(vault.judge, token)
    owners, source = (public(key),), address_of_key(public(key))
    hot, before = vault.account.address, vault.balance()
    held = token.units(hot)
    at = frame(vault.node)
    for unsigned, paid in (
        (
            building.token_transfer(source, token.address, hot, 700, FEE_LIMIT, at, 0),
            Payment("USDT.tron", hot, 700),
        ),
        (building.transfer(source, hot, 40 * TRX, at, 0), Payment("TRX.tron", hot, 40 * TRX)),
    ):
        spend = decode_sweep(unsigned, owners, "private", token.contracts)
        assert spend.payments == (paid,)
        signed = assemble_sweep(unsigned, owners, "private", (sign(key, unsigned),))
        txid = accepted(vault.node, signed)
        assert txid == spend.version
        assert info(vault.node, txid).get("fee", 0) <= spend.fee_max_units
    assert token.units(hot) == held + 700
    assert vault.balance() == before + 40 * TRX


def test_a_sweep_of_all_free_bandwidth_costs_exactly_the_announced_maximum(
    vault: Vault, token: Token
) -> None:
    key = _deposit(vault.judge, token)
    owners, source, hot = (public(key),), address_of_key(public(key)), vault.account.address
    for amount in (1, 2):
        first = building.transfer(source, hot, amount, frame(vault.node), 0)
        accepted(vault.node, signed_by(first, key))
    unsigned = building.token_transfer(source, token.address, hot, 700, TRX, frame(vault.node), 0)
    spend = decode_sweep(unsigned, owners, "private", token.contracts)
    signed = assemble_sweep(unsigned, owners, "private", (sign(key, unsigned),))
    assert info(vault.node, accepted(vault.node, signed))["fee"] == spend.fee_max_units


def test_a_sweep_signed_by_another_key_is_refused_by_us_and_by_the_chain(
    vault: Vault, token: Token
) -> None:
    key, thief = _deposit(vault.judge, token), PrivateKey()
    source = address_of_key(public(key))
    unsigned = building.transfer(source, vault.account.address, 1, frame(vault.node), 0)
    with pytest.raises(SignatureRefused):
        assemble_sweep(unsigned, (public(key),), "private", (sign(thief, unsigned),))
    assert refused(vault.node, signed_by(unsigned, thief)).startswith("SIGERROR")
