"""What custodians read in Tron's bytes, what they refuse, and what their signatures make."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from coincurve import PrivateKey

from orion.chains.errors import MalformedAddress, UnknownNetwork
from orion.chains.secp256k1 import ORDER
from orion.chains.spend import (
    Curve,
    Custody,
    CustodyAccount,
    CustodyKeys,
    CustodyPlace,
    Operation,
    Payment,
    SignatureRefused,
    Spend,
    SpendRefused,
    WalletKind,
)
from orion.chains.spend import custody as custody_of
from orion.chains.tron import building, fees, protobuf
from orion.chains.tron import custody as tron_custody
from orion.chains.tron.address import address_of, parse_address
from orion.chains.tron.fees import bandwidth_max_sun
from orion.chains.tron.payments import transfer_call
from orion.chains.tron.permissions import (
    OPERATIONS,
    address_of_key,
    addresses_of_keys,
    bitmap,
    permission_update,
)
from orion.chains.tron.protobuf import MalformedMessage
from orion.chains.tron.raw_data import (
    Call,
    Frame,
    Permission,
    PermissionUpdate,
    RawData,
    Transfer,
    digest,
    encode,
)

# The type checker compares the module with what every chain's must offer.
_CUSTODY: Custody = tron_custody

_ROOT = Path(__file__).parents[2]
_PRIVATE = [PrivateKey(hashlib.sha256(b"custody tron %d" % n).digest()) for n in range(8)]
_PUBLIC = tuple(bytes(key.public_key.format()) for key in _PRIVATE)
_KEYS = CustodyKeys(_PUBLIC[:5], ())
_TARGET = CustodyKeys((*_PUBLIC[:4], _PUBLIC[5]), ())
_PLACE = CustodyPlace("tron", "private", 7, WalletKind.HOT, 3)
_ACCOUNT = tron_custody.account(_PLACE, _KEYS, address_of_key(_PUBLIC[6]))
_ME, _TO = _ACCOUNT.address, address_of(b"\x22" * 20)
_TOKEN = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"  # USDT of the main network.
_CONTRACTS = {"USDT.tron": _TOKEN, "USDT.ethereum": "0x" + 20 * "ab"}
_START_MS = 1_700_000_000_000
_FRAME = Frame(b"\1\2", b"\3" * 8, _START_MS, _START_MS + 60_000)
_FEE_LIMIT = 30_000_000


def _signature(key: PrivateKey, unsigned: bytes) -> bytes:
    return bytes(key.sign_recoverable(digest(unsigned), hasher=None))


def _signatures(unsigned: bytes, *custodians: int) -> dict[int, tuple[bytes, ...]]:
    return {number: (_signature(_PRIVATE[number - 1], unsigned),) for number in custodians}


def _decode(unsigned: bytes, contracts: Mapping[str, str] = _CONTRACTS) -> Spend:
    return tron_custody.decode(unsigned, _ACCOUNT, contracts)


def _refusal(unsigned: bytes, contracts: Mapping[str, str] = _CONTRACTS) -> str:
    with pytest.raises(SpendRefused) as refused:
        _decode(unsigned, contracts)
    return str(refused.value.fields["reason"])


def _word(value: object) -> str:
    return value if isinstance(value, str) else "case"


def _call(data: bytes, contract: str = _TOKEN, permission_id: int = 2) -> bytes:
    action = Call(parse_address(_ME), parse_address(contract), data)
    return encode(RawData(_FRAME, action, permission_id, _FEE_LIMIT))


_PAYMENT = building.transfer(_ME, _TO, 5, _FRAME, 2)
_TOKENS = building.token_transfer(_ME, _TOKEN, _TO, 6, _FEE_LIMIT, _FRAME, 2)
_ROTATION = building.rotation(_ACCOUNT, _TARGET, _FRAME)


def test_the_account_is_the_address_that_the_groups_key_named() -> None:
    assert custody_of("tron") is tron_custody
    assert CustodyAccount(_PLACE, _KEYS, _ME, _ME) == _ACCOUNT
    assert tron_custody.owner_addresses(_KEYS) == tuple(
        sorted(address_of_key(key) for key in _PUBLIC[:5])
    )


@pytest.mark.parametrize(
    "keys, anchor, reason",
    [
        (_KEYS, "T" + 33 * "1", "checksum"),
        (_KEYS, address_of_key(_PUBLIC[0]), "owner"),
        (CustodyKeys(_PUBLIC[:4], ()), _ME, "public_key"),
        (CustodyKeys(_PUBLIC[:6], ()), _ME, "public_key"),
        (CustodyKeys((*_PUBLIC[:4], _PUBLIC[0]), ()), _ME, "public_key"),
        (CustodyKeys((*_PUBLIC[:5], _PUBLIC[0]), ()), _ME, "public_key"),
        (CustodyKeys((*_PUBLIC[:4], b"\2" + b"\xff" * 32), ()), _ME, "public_key"),
        (
            CustodyKeys((*_PUBLIC[:4], _PRIVATE[4].public_key.format(compressed=False)), ()),
            _ME,
            "public_key",
        ),
    ],
    ids=_word,
)
def test_an_account_of_other_than_five_keys_apart_from_its_own_is_refused(
    keys: CustodyKeys, anchor: str, reason: str
) -> None:
    with pytest.raises(MalformedAddress) as refused:
        tron_custody.account(_PLACE, keys, anchor)
    assert refused.value.fields["reason"] == reason


def test_an_account_on_an_unknown_network_is_refused() -> None:
    with pytest.raises(UnknownNetwork):
        tron_custody.account(replace(_PLACE, network="ropsten"), _KEYS, _ME)


def test_the_bitmap_allows_transfers_and_calls_and_nothing_else() -> None:
    assert OPERATIONS.hex() == "02000080" + 28 * "00"
    allowed = [n for n in range(256) if OPERATIONS[n // 8] >> n % 8 & 1]
    assert allowed == [1, 31]
    assert 46 not in allowed  # AccountPermissionUpdateContract.


def test_any_three_of_five_keys_of_one_weight_rule_both_permissions() -> None:
    keys = tuple((parse_address(owner), 1) for owner in tron_custody.owner_addresses(_KEYS))
    update = permission_update(_ME, tron_custody.owner_addresses(_KEYS))
    assert update.owner_permission == Permission(0, "owner", 3, b"", keys)
    assert update.actives == (Permission(2, "payments", 3, OPERATIONS, keys),)
    assert len(keys) == 5


def test_a_payment_of_trx_is_read() -> None:
    spend = _decode(_PAYMENT, {})
    txid = hashlib.sha256(_PAYMENT).digest()
    assert spend == Spend(
        operation=Operation.PAY,
        payments=(Payment("TRX.tron", _TO, 5),),
        fee_max_units=bandwidth_max_sun(_PAYMENT, 5) + 1_000_000 + 1_000_000,
        claims=(),
        version=txid.hex(),
        curve=Curve.SECP256K1,
        messages=(txid,),
        expires_at_ms=_FRAME.expiration_ms,
    )


def test_a_payment_of_tokens_is_read_with_its_fee_limit() -> None:
    spend = _decode(_TOKENS)
    assert spend.payments == (Payment("USDT.tron", _TO, 6),)
    assert spend.fee_max_units == _FEE_LIMIT + 1_000_000 + bandwidth_max_sun(_TOKENS, 5)
    assert spend.messages == (digest(_TOKENS),)


def test_a_rotation_is_read_with_its_owners() -> None:
    spend = _decode(_ROTATION)
    assert spend.operation is Operation.ROTATE
    assert spend.payments == ()
    assert spend.owners_after == tron_custody.owner_addresses(_TARGET)
    assert spend.fee_max_units == 101_000_000 + bandwidth_max_sun(_ROTATION, 5)
    assert spend.expires_at_ms == _FRAME.expiration_ms


def test_bandwidth_counts_every_byte_with_signatures_and_result() -> None:
    # Tag and length of raw_data are 3 bytes, a signature 65 and 2, a result 64.
    assert 128 <= len(_PAYMENT) < 2**14
    assert bandwidth_max_sun(_PAYMENT, 3) == (len(_PAYMENT) + 3 + 3 * 67 + 64) * 1_000


def test_an_activation_has_a_price_in_the_place_of_bandwidth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fees, "FEES", replace(fees.FEES, bandwidth_sun_byte=1))
    assert _decode(_PAYMENT).fee_max_units == 1_000_000 + 100_000 + 1_000_000
    assert _decode(_TOKENS).fee_max_units == _FEE_LIMIT + len(_TOKENS) + 402 + 1_000_000


def test_the_expiration_is_the_bytes_own() -> None:
    assert tron_custody.expiration_ms(_PAYMENT) == _FRAME.expiration_ms
    with pytest.raises(SpendRefused):
        tron_custody.expiration_ms(_PAYMENT[:-1])


_SELF, _TOKEN_ACCOUNT = parse_address(_ME), parse_address(_TOKEN)
_ADDRESS_41 = b"\xa9\x05\x9c\xbb" + (b"\x41" + b"\x22" * 20).rjust(32, b"\0") + bytes(31) + b"\5"


@pytest.mark.parametrize(
    "unsigned, reason",
    [
        (building.transfer(_TO, _ME, 5, _FRAME, 2), "owner"),
        (building.transfer(_ME, _TO, 5, _FRAME, 0), "permission"),
        (building.transfer(_ME, _TO, 5, _FRAME, 3), "permission"),
        (building.token_transfer(_ME, _TOKEN, _TO, 6, 1, _FRAME, 0), "permission"),
        (building.transfer(_ME, _ME, 5, _FRAME, 2), "recipient"),
        (encode(RawData(_FRAME, Transfer(_SELF, bytes(20), 5), 2)), "recipient"),
        (building.token_transfer(_ME, _TO, _ME, 6, 1, _FRAME, 2), "token"),
        (_call(transfer_call(_SELF, 6)), "recipient"),
        (_call(transfer_call(bytes(20), 6)), "recipient"),
        (_call(transfer_call(_TOKEN_ACCOUNT, 6)), "recipient"),
        (_call(transfer_call(b"\x22" * 20, 0)), "amount"),
        (_call(transfer_call(b"\x22" * 20, 6) + b"\0"), "calldata"),
        (_call(transfer_call(b"\x22" * 20, 6)[:-1]), "calldata"),
        (_call(b""), "calldata"),
        (_call(_ADDRESS_41), "calldata"),
        # approve(address,uint256) has the same shape.
        (_call(bytes.fromhex("095ea7b3") + transfer_call(b"\x22" * 20, 6)[4:]), "calldata"),
        (_PAYMENT + b"\0", "field_unknown"),
        (_PAYMENT[:-1], "truncated"),
    ],
    ids=_word,
)
def test_a_transaction_that_does_more_or_less_than_pay_is_refused(
    unsigned: bytes, reason: str
) -> None:
    assert _refusal(unsigned) == reason


@pytest.mark.parametrize(
    "contracts",
    [
        {},
        {"USDT.ethereum": _TOKEN},
        {"FAKE.tron": _TOKEN},
        {"USDT.tron": _TO},
        {"USDT.tron": _TOKEN, "TRX.tron": _TOKEN},
    ],
)
def test_a_token_that_is_not_exactly_one_of_ours_is_refused(contracts: Mapping[str, str]) -> None:
    assert _refusal(_TOKENS, contracts) == "token"


_OWNERS = tron_custody.owner_addresses(_TARGET)
_UPDATE = permission_update(_ME, _OWNERS)
_OWNER_PERMISSION, _ACTIVE = _UPDATE.owner_permission, _UPDATE.actives[0]
_LATER_KEYS = replace(_ACTIVE, keys=(*_ACTIVE.keys[1:], _ACTIVE.keys[0]))
_HEAVY = (*_ACTIVE.keys[:4], (_ACTIVE.keys[4][0], 3))


def _update(
    owner: Permission = _OWNER_PERMISSION,
    actives: tuple[Permission, ...] = (_ACTIVE,),
    permission_id: int = 0,
) -> bytes:
    return encode(RawData(_FRAME, PermissionUpdate(_SELF, owner, actives), permission_id))


@pytest.mark.parametrize(
    "unsigned, reason",
    [
        (_update(permission_id=2), "permission"),
        (_update(replace(_OWNER_PERMISSION, threshold=2)), "permissions"),
        (_update(replace(_OWNER_PERMISSION, threshold=4)), "permissions"),
        (_update(replace(_OWNER_PERMISSION, name="Owner")), "permissions"),
        (_update(replace(_OWNER_PERMISSION, kind=2)), "permissions"),
        (_update(replace(_OWNER_PERMISSION, operations=OPERATIONS)), "permissions"),
        (_update(replace(_OWNER_PERMISSION, keys=_HEAVY)), "permissions"),
        (_update(replace(_OWNER_PERMISSION, keys=_ACTIVE.keys[:4])), "owners"),
        (_update(replace(_OWNER_PERMISSION, keys=_LATER_KEYS.keys)), "owners"),
        (_update(replace(_OWNER_PERMISSION, keys=(_ACTIVE.keys[0],) * 5)), "owners"),
        (_update(actives=()), "permissions"),
        (_update(actives=(_ACTIVE, _ACTIVE)), "permissions"),
        (_update(actives=(replace(_ACTIVE, threshold=1),)), "permissions"),
        (_update(actives=(replace(_ACTIVE, kind=1),)), "permissions"),
        (_update(actives=(replace(_ACTIVE, name=""),)), "permissions"),
        (_update(actives=(replace(_ACTIVE, keys=_HEAVY),)), "permissions"),
        (_update(actives=(_LATER_KEYS,)), "permissions"),
        (_update(actives=(replace(_ACTIVE, operations=bitmap((1, 31, 46))),)), "permissions"),
        (_update(actives=(replace(_ACTIVE, operations=b""),)), "permissions"),
        (building.update(_ME, sorted([*_OWNERS[:4], _ME]), _FRAME), "owners"),
        (building.update(_TO, _OWNERS, _FRAME), "owner"),
    ],
    ids=_word,
)
def test_a_rotation_that_differs_from_ours_in_any_field_is_refused(
    unsigned: bytes, reason: str
) -> None:
    assert _refusal(unsigned) == reason


def test_assembled_transactions_have_the_lowest_three_signatures_in_order() -> None:
    signatures = _signatures(_PAYMENT, 5, 2, 4, 3)
    signed = tron_custody.assemble(_PAYMENT, _ACCOUNT, signatures)
    expected = protobuf.part(1, _PAYMENT)
    for number in (2, 3, 4):
        expected += protobuf.part(2, signatures[number][0])
    assert signed == expected


def _with_high_s(signature: bytes) -> bytes:
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([signature[64] ^ 1])


_GOOD = _signatures(_PAYMENT, 1, 2, 3, 4)
_FIRST = _GOOD[1][0]


@pytest.mark.parametrize(
    "number, given",
    [
        (4, (_signature(_PRIVATE[4], _PAYMENT),)),
        (4, (_signature(_PRIVATE[3], _TOKENS),)),
        (4, (_FIRST,)),
        (4, ()),
        (4, _GOOD[4] * 2),
        (1, (_FIRST[:64],)),
        (1, (_FIRST + b"\0",)),
        (1, (_FIRST[:64] + bytes([_FIRST[64] ^ 1]),)),
        (1, (_FIRST[:64] + bytes([_FIRST[64] + 27]),)),
        (1, (_with_high_s(_FIRST),)),
        (1, (b"",)),
        (0, (_FIRST,)),
        (0, (_signature(_PRIVATE[4], _PAYMENT),)),
        (6, (_FIRST,)),
    ],
    ids=_word,
)
def test_a_signature_that_is_not_the_custodians_own_is_refused_by_number(
    number: int, given: tuple[bytes, ...]
) -> None:
    with pytest.raises(SignatureRefused) as refused:
        tron_custody.assemble(_PAYMENT, _ACCOUNT, {**_GOOD, number: given})
    assert refused.value.fields["custodian"] == number


def test_two_signatures_make_no_transaction() -> None:
    with pytest.raises(SignatureRefused):
        tron_custody.assemble(_PAYMENT, _ACCOUNT, _signatures(_PAYMENT, 1, 2))


def test_nothing_is_assembled_that_no_custodian_reads() -> None:
    for unsigned in (_PAYMENT + b"\0", building.transfer(_TO, _ME, 5, _FRAME, 2)):
        with pytest.raises(SpendRefused):
            tron_custody.assemble(unsigned, _ACCOUNT, _signatures(unsigned, 1, 2, 3))


def test_every_reason_of_refusal_is_documented() -> None:
    package = Path(building.__file__).parent
    sources = "".join(path.read_text(encoding="utf-8") for path in package.glob("*.py"))
    reasons = set(re.findall(r'reason="([a-z_]+)"', sources))
    reasons |= set(re.findall(r'\d+: "([a-z_]+)"', sources))
    listed = (_ROOT / "docs" / "chains" / "tron-custody.md").read_text(encoding="utf-8")
    # An address's own reasons are the address module's, and a bad key's are told as such.
    told_elsewhere = {"length", "version", "zero", "public_key"}
    assert {one for one in reasons - told_elsewhere if f"`{one}`" not in listed} == set()
    assert {"memo", "witness", "calldata"} <= reasons


def test_the_description_names_everything_that_recomputes_it() -> None:
    told = tron_custody.describe(_ACCOUNT)
    assert told["address"] == _ME
    assert told["threshold"] == 3
    assert told["public_keys"] == [key.hex() for key in _PUBLIC[:5]]
    assert told["owners"] == list(addresses_of_keys(_PUBLIC[:5]))


@pytest.mark.parametrize("units", [0, -1, 2**256])
def test_an_amount_that_a_token_cannot_hold_is_not_built(units: int) -> None:
    with pytest.raises(MalformedMessage):
        building.token_transfer(_ME, _TOKEN, _TO, units, 1, _FRAME, 2)
