"""raw_data is read and written one to one: no two encodings of a meaning, nothing skipped."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.tron.schema import RAW
from infra.local.tron.transactions import read_raw
from infra.local.tron.wire import decode as generic_decode
from infra.local.tron.wire import encode as generic_encode
from orion.chains.tron import protobuf
from orion.chains.tron.protobuf import Kind, MalformedMessage
from orion.chains.tron.raw_data import (
    FEE_LIMIT_SUN_MAX,
    RAW_BYTES_MAX,
    VALID_MS_MAX,
    Call,
    Frame,
    Permission,
    PermissionUpdate,
    RawData,
    Transfer,
    decode,
    digest,
    encode,
)

_TYPE = b"type.googleapis.com/protocol.".hex()
# tronprotocol/documentation, "wallet/getsignweight": a transfer under permission 2.
_PAYMENT = (
    "0a02163d220877ef4ace148b05ba40d8c5e5a6a32d5a69080112630a2d"
    + _TYPE
    + "5472616e73666572436f6e747261637412320a1541a7d8a35b260395c14aa456297662092ba3b76fc0"
    "1215415a523b449890854c8fc460ab602df9f31fe4293f18c0843d2802709af4e1a6a32d"
)
# Nile test network, gettransactionbyid: a token transfer (with the old 0x41 in the address word).
_CALL = (
    "0a028ad92208eaef69105495eb1540f09fc0cfcd335aae01081f12a9010a31"
    + _TYPE
    + "54726967676572536d617274436f6e747261637412740a1541495511a493d8c362be4267224e6d81013a6862ee"
    "121541eca9bc828a3005b9a3b909f2cc5c2a54794de05f2244a9059cbb"
    "00000000000000000000004150125bea243a640bf85348873b6c4f3c517aee7a"
    "0000000000000000000000000000000000000000000000000000000000000001"
    "7090cbbccfcd33900180c2d72f"
)
# The example of a public API reference for wallet/accountpermissionupdate: two of two keys.
_UPDATE = (
    "0a02848a2208305274c7f1f088da40889accf0e5325aea01082e12e5010a3c"
    + _TYPE
    + "4163636f756e745065726d697373696f6e557064617465436f6e747261637412a4010a15"
    "41fd49eda0f23ff7ec1d03b52c3a45991c24cd440e12241a056f776e657220013a190a15"
    "41fd49eda0f23ff7ec1d03b52c3a45991c24cd440e1001226508021a07616374697665302002"
    "32207fff1fc0037e00000000000000000000000000000000000000000000000000003a190a15"
    "41fd49eda0f23ff7ec1d03b52c3a45991c24cd440e10013a190a15"
    "4198927ffb9f554dc4a453c64b2e553a02d6df514b100170c0cac8f0e532"
)
_PUBLISHED = [bytes.fromhex(one) for one in (_PAYMENT, _CALL, _UPDATE)]
_START_MS = 1_700_000_000_000
_FRAME = Frame(b"\1\2", b"\3" * 8, _START_MS, _START_MS + 60_000)
_OWNER, _OTHER = b"\x11" * 20, b"\x22" * 20

_accounts = st.binary(min_size=20, max_size=20)
_numbers = st.integers(min_value=0, max_value=2**63 - 1)
_names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def _frames(draw: st.DrawFn) -> Frame:
    timestamp_ms = draw(st.integers(min_value=1_529_891_469_000, max_value=4_000_000_000_000))
    valid_ms = draw(st.integers(min_value=1, max_value=VALID_MS_MAX))
    octets = draw(st.binary(min_size=10, max_size=10))
    return Frame(octets[:2], octets[2:], timestamp_ms, timestamp_ms + valid_ms)


_permissions = st.builds(
    Permission,
    kind=_numbers,
    name=_names,
    threshold=_numbers,
    operations=st.binary(max_size=32),
    keys=st.lists(st.tuples(_accounts, _numbers), max_size=6).map(tuple),
)
_calls = st.builds(Call, _accounts, _accounts, st.binary(max_size=80))
_others = st.one_of(
    st.builds(Transfer, _accounts, _accounts, st.integers(min_value=1, max_value=2**63 - 1)),
    st.builds(
        PermissionUpdate, _accounts, _permissions, st.lists(_permissions, max_size=2).map(tuple)
    ),
)
_fee_limits = st.integers(min_value=1, max_value=FEE_LIMIT_SUN_MAX)
_raws = st.one_of(
    st.builds(RawData, _frames(), _calls, _numbers, _fee_limits),
    st.builds(RawData, _frames(), _others, _numbers),
)


def _word(value: object) -> str:
    """Cases are named by their reason; bytes and values are no names."""
    return value if isinstance(value, str) else "case"


def _refusal(data: bytes) -> str:
    with pytest.raises(MalformedMessage) as refused:
        decode(data)
    return refused.value.reason


def _wrapped(contract: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """raw_data around a contract; `before` stands in front of it, `after` behind the times."""
    frame = protobuf.octets(1, _FRAME.ref_block_bytes) + protobuf.octets(4, _FRAME.ref_block_hash)
    times = protobuf.number(8, _FRAME.expiration_ms), protobuf.number(14, _FRAME.timestamp_ms)
    return frame + times[0] + before + protobuf.part(11, contract) + times[1] + after


def _contract(
    value: bytes, kind: int = 1, name: str = "TransferContract", after: bytes = b""
) -> bytes:
    url = f"type.googleapis.com/protocol.{name}".encode()
    parameter = protobuf.octets(1, url) + protobuf.octets(2, value)
    return protobuf.number(1, kind) + protobuf.part(2, parameter) + after


_ADDRESSES = protobuf.octets(1, b"\x41" + _OWNER) + protobuf.octets(2, b"\x41" + _OTHER)
_TRANSFER = _ADDRESSES + protobuf.number(3, 5)
_LONG_OWNER = protobuf.octets(1, b"\x41" + _OWNER + b"\0") + _TRANSFER[23:]


@pytest.mark.parametrize("data", _PUBLISHED, ids=["payment", "call", "update"])
def test_a_published_transaction_is_read_and_written_byte_for_byte(data: bytes) -> None:
    assert encode(decode(data)) == data
    assert digest(data) == hashlib.sha256(data).digest()


def test_a_published_payment_reads_as_it_says() -> None:
    raw = decode(_PUBLISHED[0])
    assert digest(_PUBLISHED[0]).hex().startswith("0ae84a8439f5aa8fd2c458879a4031a7")
    assert isinstance(raw.action, Transfer)
    assert raw.action.amount_sun == 1_000_000
    assert raw.action.owner.hex() == "a7d8a35b260395c14aa456297662092ba3b76fc0"
    assert raw.permission_id == 2
    assert raw.frame.expiration_ms == 1_555_664_823_000


@given(_raws)
@settings(max_examples=60)
def test_what_is_written_reads_back_as_it_was(raw: RawData) -> None:
    data = encode(raw)
    assert decode(data) == raw
    # The local engine's codec is another one, driven by a schema of the whole protocol.
    assert generic_encode(RAW, generic_decode(RAW, data)) == data
    assert read_raw(data, ()).txid == digest(data)


@given(_raws, st.data())
@settings(max_examples=80)
def test_an_altered_byte_is_refused_or_says_something_else(
    raw: RawData, data: st.DataObject
) -> None:
    written = bytearray(encode(raw))
    place = data.draw(st.integers(min_value=0, max_value=len(written) - 1))
    written[place] ^= data.draw(st.integers(min_value=1, max_value=255))
    _is_refused_or_other(bytes(written), raw)


@given(_raws, st.data())
@settings(max_examples=60)
def test_an_inserted_or_lost_byte_is_refused_or_says_something_else(
    raw: RawData, data: st.DataObject
) -> None:
    written = encode(raw)
    place = data.draw(st.integers(min_value=0, max_value=len(written) - 1))
    inserted = bytes([data.draw(st.integers(min_value=0, max_value=255))])
    _is_refused_or_other(written[:place] + inserted + written[place:], raw)
    _is_refused_or_other(written[:place] + written[place + 1 :], raw)


def _is_refused_or_other(altered: bytes, original: RawData) -> None:
    try:
        found = decode(altered)
    except MalformedMessage:
        return
    assert encode(found) == altered
    # Equal bytes come about when a byte is inserted or lost beside its equal.
    assert (found == original) == (altered == encode(original))


@pytest.mark.parametrize("data", _PUBLISHED, ids=["payment", "call", "update"])
def test_no_single_bit_of_a_transaction_is_without_meaning(data: bytes) -> None:
    original = decode(data)
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 1 << place % 8
        _is_refused_or_other(bytes(altered), original)


@pytest.mark.parametrize("cut", [1, 3, 8, 40, 100])
def test_a_transaction_cut_short_is_refused(cut: int) -> None:
    for data in _PUBLISHED:
        _refusal(data[:-cut])


@pytest.mark.parametrize(
    "data, reason",
    [
        (_wrapped(_contract(_TRANSFER), after=bytes.fromhex("9a0600")), "field_unknown"),
        (_wrapped(_contract(_TRANSFER), before=protobuf.octets(10, b"hi")), "memo"),
        (_wrapped(_contract(_TRANSFER), before=protobuf.part(9, b"")), "auths"),
        (_wrapped(_contract(_TRANSFER), after=protobuf.octets(12, b"x")), "scripts"),
        (protobuf.number(3, 7) + _wrapped(_contract(_TRANSFER)), "ref_block_num"),
        (_wrapped(_contract(_TRANSFER), before=protobuf.number(8, 1)), "field_repeated"),
        (_wrapped(_contract(_TRANSFER), after=protobuf.number(8, 1)), "field_order"),
        (_wrapped(_contract(_TRANSFER), after=bytes.fromhex("900100")), "default_written"),
        (_wrapped(_contract(_TRANSFER), after=bytes.fromhex("90018100")), "varint"),
        (_wrapped(_contract(_TRANSFER), after=bytes.fromhex("9081000a")), "varint"),
        (_wrapped(_contract(_TRANSFER), after=b"\x90\x01" + b"\xff" * 9 + b"\1"), "number_range"),
        (_wrapped(_contract(_TRANSFER), after=b"\x90\x01" + b"\xff" * 11), "varint"),
        (_wrapped(_contract(_TRANSFER), after=b"\x90\x01" + b"\xff" * 10 + b"\1"), "varint"),
        (_wrapped(_contract(_TRANSFER), after=b"\x92\x01\x01\x05"), "wire_type"),
        (_wrapped(_contract(_TRANSFER), after=b"\x91\x01" + bytes(8)), "wire_type"),
        (_wrapped(_contract(_TRANSFER), after=b"\x90"), "truncated"),
        (
            _wrapped(_contract(_TRANSFER), before=protobuf.part(11, _contract(_TRANSFER))),
            "contract_count",
        ),
        (b"", "contract_count"),
        (bytes(RAW_BYTES_MAX + 1), "size"),
        (_wrapped(_contract(_TRANSFER, after=protobuf.octets(3, b"x"))), "provider"),
        (_wrapped(_contract(_TRANSFER, after=protobuf.octets(4, b"x"))), "contract_name"),
        (_wrapped(_contract(_TRANSFER, after=b"\x28\x00")), "default_written"),
        (_wrapped(_contract(_TRANSFER, kind=2)), "contract_type"),
        (_wrapped(_contract(_TRANSFER, kind=31)), "contract_type"),
        (_wrapped(_contract(_TRANSFER, name="TransferAssetContract")), "contract_type"),
        (_wrapped(protobuf.number(1, 1)), "contract_type"),
        (_wrapped(_contract(_TRANSFER + protobuf.number(4, 1))), "field_unknown"),
        (_wrapped(_contract(_ADDRESSES)), "amount"),
        (_wrapped(_contract(_ADDRESSES + b"\x18\x85\x80\x00")), "varint"),
        (_wrapped(_contract(protobuf.octets(1, b"\x41" + _OWNER))), "address"),
        (_wrapped(_contract(_TRANSFER.replace(b"\x41", b"\xa0"))), "address"),
        (_wrapped(_contract(_LONG_OWNER)), "address"),
        (_wrapped(_contract(_TRANSFER[:-1])), "truncated"),
        (_wrapped(_contract(_TRANSFER), after=protobuf.number(18, 1)), "fee_limit"),
    ],
    ids=_word,
)
def test_whatever_is_not_canonical_and_ours_is_refused_by_name(data: bytes, reason: str) -> None:
    assert _refusal(data) == reason


@pytest.mark.parametrize(
    "more, reason",
    [
        (protobuf.number(3, 1), "call_value"),
        (protobuf.part(4, b""), "default_written"),
        (protobuf.octets(4, b"\1") + protobuf.number(5, 1), "token_value"),
        (protobuf.octets(4, b"\1") + protobuf.number(6, 1), "token_value"),
    ],
    ids=_word,
)
def test_a_call_that_carries_trx_tokens_or_written_nothing_is_refused(
    more: bytes, reason: str
) -> None:
    contract = _contract(_ADDRESSES + more, 31, "TriggerSmartContract")
    assert _refusal(_wrapped(contract, after=protobuf.number(18, 1))) == reason


_KEY = protobuf.part(7, protobuf.octets(1, b"\x41" + _OTHER) + protobuf.number(2, 1))


@pytest.mark.parametrize(
    "permissions, reason",
    [
        (protobuf.part(4, _KEY), "permissions"),
        (protobuf.part(2, _KEY) + protobuf.part(3, _KEY), "witness"),
        (protobuf.part(2, protobuf.number(2, 1) + _KEY), "permission_id"),
        (protobuf.part(2, protobuf.number(5, 1) + _KEY), "parent_id"),
        (protobuf.part(2, protobuf.octets(3, b"\xff") + _KEY), "permissions"),
        (protobuf.part(2, _KEY + protobuf.number(4, 3)), "field_order"),
        (protobuf.part(2, _KEY) + protobuf.part(2, _KEY), "field_repeated"),
        (protobuf.part(2, protobuf.part(7, protobuf.octets(1, _OTHER))), "address"),
    ],
    ids=_word,
)
def test_a_permission_update_is_read_to_its_last_field(permissions: bytes, reason: str) -> None:
    value = protobuf.octets(1, b"\x41" + _OWNER) + permissions
    contract = _contract(value, 46, "AccountPermissionUpdateContract")
    assert _refusal(_wrapped(contract)) == reason


@pytest.mark.parametrize(
    "frame, reason",
    [
        (Frame(b"\1", b"\3" * 8, _START_MS, _START_MS + 1), "ref_block"),
        (Frame(b"", b"\3" * 8, _START_MS, _START_MS + 1), "ref_block"),
        (Frame(b"\1\2", b"\3" * 7, _START_MS, _START_MS + 1), "ref_block"),
        (Frame(b"\1\2", b"\3" * 9, _START_MS, _START_MS + 1), "ref_block"),
        (Frame(b"\1\2", b"\3" * 8, _START_MS, _START_MS), "time"),
        (Frame(b"\1\2", b"\3" * 8, 0, _START_MS), "time"),
        (Frame(b"\1\2", b"\3" * 8, _START_MS // 1000, _START_MS // 1000 + 60), "time"),
        (Frame(b"\1\2", b"\3" * 8, _START_MS * 1000, _START_MS * 1000 + 60), "time"),
        (Frame(b"\1\2", b"\3" * 8, _START_MS, _START_MS + VALID_MS_MAX + 1), "expiration"),
    ],
    ids=_word,
)
def test_a_frame_that_does_not_bind_in_time_is_neither_written_nor_read(
    frame: Frame, reason: str
) -> None:
    raw = RawData(frame, Transfer(_OWNER, _OTHER, 1), 0)
    with pytest.raises(MalformedMessage) as refused:
        encode(raw)
    assert refused.value.reason == reason
    written = (
        protobuf.octets(1, frame.ref_block_bytes)
        + protobuf.octets(4, frame.ref_block_hash)
        + protobuf.number(8, frame.expiration_ms)
        + protobuf.part(11, _contract(_TRANSFER))
        + protobuf.number(14, frame.timestamp_ms)
    )
    assert _refusal(written) == reason


def test_ten_minutes_are_allowed() -> None:
    assert VALID_MS_MAX == 600_000
    frame = Frame(b"\1\2", b"\3" * 8, _START_MS, _START_MS + VALID_MS_MAX)
    raw = RawData(frame, Transfer(_OWNER, _OTHER, 1), 0)
    assert decode(encode(raw)) == raw


@pytest.mark.parametrize(
    "raw, reason",
    [
        (RawData(_FRAME, Transfer(_OWNER, _OTHER, 0), 0), "amount"),
        (RawData(_FRAME, Transfer(_OWNER, _OTHER, -1), 0), "number_range"),
        (RawData(_FRAME, Transfer(_OWNER, _OTHER, 2**63), 0), "number_range"),
        (RawData(_FRAME, Transfer(b"\x41" + _OWNER, _OTHER, 1), 0), "address"),
        (RawData(_FRAME, Transfer(_OWNER, _OTHER, 1), 0, 1), "fee_limit"),
        (RawData(_FRAME, Transfer(_OWNER, _OTHER, 1), -1), "number_range"),
        (RawData(_FRAME, Call(_OWNER, _OTHER, b"\1"), 0), "fee_limit"),
        (RawData(_FRAME, Call(_OWNER, _OTHER, b"\1"), 0, -1), "fee_limit"),
        (RawData(_FRAME, Call(_OWNER, _OTHER, b"\1"), 0, FEE_LIMIT_SUN_MAX + 1), "fee_limit"),
    ],
    ids=_word,
)
def test_what_would_be_refused_is_not_written(raw: RawData, reason: str) -> None:
    with pytest.raises(MalformedMessage) as refused:
        encode(raw)
    assert refused.value.reason == reason


def test_a_frame_on_a_block_takes_its_heights_end_and_the_middle_of_its_id() -> None:
    block_id = bytes(range(32))
    frame = Frame.on(block_id, _START_MS, _START_MS + 1)
    assert frame.ref_block_bytes == bytes([6, 7])
    assert frame.ref_block_hash == bytes(range(8, 16))
    with pytest.raises(MalformedMessage):
        Frame.on(block_id[:-1], _START_MS, _START_MS + 1)


def test_an_absent_message_is_not_an_empty_one() -> None:
    layout = {2: Kind.PART}
    assert protobuf.read(b"", layout).part(2) is None
    assert protobuf.read(protobuf.part(2, b""), layout).part(2) == b""
