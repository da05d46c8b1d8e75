"""Transactions that were on Tron's networks are read and written byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.tron.addresses import of_contract, read, shown
from infra.local.tron.permissions import signer
from infra.local.tron.schema import CONTRACTS, RAW
from infra.local.tron.transactions import build, read_bytes, read_raw, read_shown
from infra.local.tron.wire import MalformedMessage, Message, decode, encode, number, parts

_TYPE = b"type.googleapis.com/protocol.".hex()
# tronprotocol/documentation, "wallet/getsignweight": a transfer under permission 2.
_MULTISIGNED = (
    "0a02163d220877ef4ace148b05ba40d8c5e5a6a32d5a69080112630a2d"
    + _TYPE
    + "5472616e73666572436f6e747261637412320a1541a7d8a35b260395c14aa456297662092ba3b76fc0"
    "1215415a523b449890854c8fc460ab602df9f31fe4293f18c0843d2802709af4e1a6a32d"
)
_MULTISIGNED_ID = "0ae84a8439f5aa8fd2c458879a4031a7452aebed8e6e99ffbccd26842d4323c4"
# Nile test network, gettransactionbyid: a token transfer with its signature.
_TOKEN = (
    "0a028ad92208eaef69105495eb1540f09fc0cfcd335aae01081f12a9010a31"
    + _TYPE
    + "54726967676572536d617274436f6e747261637412740a1541495511a493d8c362be4267224e6d81013a6862ee"
    "121541eca9bc828a3005b9a3b909f2cc5c2a54794de05f2244a9059cbb"
    "00000000000000000000004150125bea243a640bf85348873b6c4f3c517aee7a"
    "0000000000000000000000000000000000000000000000000000000000000001"
    "7090cbbccfcd33900180c2d72f"
)
_TOKEN_ID = "c70b20da8cb8d96a99c1aceb283412acb9dea313a9e467178431a3c6ae8b9f08"
_TOKEN_SIGNATURE = (
    "1788bf0281f67c42f5a09322523edee9969e808a863776f21ab6543de9dd42ca"
    "0e4955577879df8074086c620eb96709ba9a95d60a166de190a081e8d69801da00"
)
# The example of a public API reference for wallet/accountpermissionupdate: two of two keys.
_PERMISSIONS = (
    "0a02848a2208305274c7f1f088da40889accf0e5325aea01082e12e5010a3c"
    + _TYPE
    + "4163636f756e745065726d697373696f6e557064617465436f6e747261637412a4010a15"
    "41fd49eda0f23ff7ec1d03b52c3a45991c24cd440e12241a056f776e657220013a190a15"
    "41fd49eda0f23ff7ec1d03b52c3a45991c24cd440e1001226508021a07616374697665302002"
    "32207fff1fc0037e00000000000000000000000000000000000000000000000000003a190a15"
    "41fd49eda0f23ff7ec1d03b52c3a45991c24cd440e10013a190a15"
    "4198927ffb9f554dc4a453c64b2e553a02d6df514b100170c0cac8f0e532"
)


@pytest.mark.parametrize(
    "raw_hex, txid",
    [(_MULTISIGNED, _MULTISIGNED_ID), (_TOKEN, _TOKEN_ID)],
    ids=["transfer under permission 2", "token transfer"],
)
def test_a_published_transaction_has_its_published_id(raw_hex: str, txid: str) -> None:
    assert read_raw(bytes.fromhex(raw_hex), ()).txid.hex() == txid


@pytest.mark.parametrize("raw_hex", [_MULTISIGNED, _TOKEN, _PERMISSIONS])
@pytest.mark.parametrize("visible", [True, False])
def test_a_transaction_survives_its_json_form(raw_hex: str, *, visible: bool) -> None:
    signed = read_raw(bytes.fromhex(raw_hex), (b"\1" * 65,))
    assert read_shown(signed.shown(visible=visible)) == signed
    assert read_bytes(signed.encoded) == signed


def test_a_published_signature_recovers_the_owner() -> None:
    transaction = read_raw(bytes.fromhex(_TOKEN), ())
    assert signer(transaction.txid, bytes.fromhex(_TOKEN_SIGNATURE)) == transaction.owner
    assert shown(transaction.owner, visible=True) == "TGexEkipwwnskd2rDXWvptwLLhjCTcNeCi"


def test_a_published_permission_update_reads_as_it_says() -> None:
    contract = read_raw(bytes.fromhex(_PERMISSIONS), ()).contract
    (active,) = parts(contract, "actives")
    assert number(active, "threshold") == 2
    assert [number(key, "weight") for key in parts(active, "keys")] == [1, 1]


def test_raw_data_hex_beside_other_raw_data_does_not_count() -> None:
    told = read_raw(bytes.fromhex(_TOKEN), ()).shown(visible=False)
    lying = {**told, "raw_data_hex": _MULTISIGNED, "txID": _MULTISIGNED_ID}
    assert read_shown(lying).txid.hex() == _TOKEN_ID


def test_the_address_of_a_contract_follows_from_the_transaction_and_its_owner() -> None:
    # tronweb computes the same address in tests/engine; here only that both parts count.
    owner = read("TGexEkipwwnskd2rDXWvptwLLhjCTcNeCi", visible=True)
    first = of_contract(bytes(32), owner)
    assert first[0] == 0x41
    assert len({first, of_contract(b"\1" + bytes(31), owner), of_contract(bytes(32), first)}) == 3


@given(
    st.binary(max_size=40),
    st.integers(min_value=0, max_value=2**63 - 1),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
)
def test_every_message_reads_back_as_written(data: bytes, fee_limit: int, expiration: int) -> None:
    message: Message = {"data": data, "fee_limit": fee_limit, "expiration": expiration}
    written = encode(RAW, message)
    again = decode(RAW, written)
    # What equals its default is not written at all.
    assert again == {name: value for name, value in message.items() if value}
    assert encode(RAW, again) == written


@given(st.binary(max_size=60))
def test_no_bytes_are_read_as_something_that_would_be_written_otherwise(data: bytes) -> None:
    try:
        transaction = read_raw(data, ())
    except MalformedMessage:
        return
    assert transaction.raw_bytes == data


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_transaction_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(MalformedMessage):
        read_raw(bytes.fromhex(_MULTISIGNED)[:-cut], ())


def test_a_field_that_the_protocol_does_not_have_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="no field 99"):
        decode(RAW, bytes.fromhex("9a0600"))


def test_fields_out_of_order_are_refused() -> None:
    raw = bytes.fromhex(_MULTISIGNED)
    with pytest.raises(MalformedMessage):
        read_raw(raw[4:] + raw[:4], ())


@pytest.mark.parametrize("amount", [True, "5 ", 1.5, None, [5], 2**70])
def test_an_amount_that_is_no_64_bit_number_is_refused(amount: object) -> None:
    shown_form = read_raw(bytes.fromhex(_MULTISIGNED), ()).shown(visible=False)
    raw = shown_form["raw_data"]
    assert isinstance(raw, dict)
    raw["contract"][0]["parameter"]["value"]["amount"] = amount
    if amount is None:
        assert read_shown(shown_form).txid.hex() != _MULTISIGNED_ID
        return
    with pytest.raises(MalformedMessage):
        read_shown(shown_form)


def test_a_negative_number_takes_ten_bytes_as_in_every_protobuf() -> None:
    contract: Message = {"owner_address": b"", "amount": -1}
    assert encode(CONTRACTS["TransferContract"], contract).hex() == "18" + "ff" * 9 + "01"
    assert build("TransferContract", contract, {}).contract["amount"] == -1
