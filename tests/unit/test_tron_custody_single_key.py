"""What one key signs alone: a group's handover to its custodians, and sweeps; nothing else."""

import hashlib
from dataclasses import replace

import pytest
from coincurve import PrivateKey

from orion.chains.errors import UnknownNetwork
from orion.chains.spend import (
    CustodyKeys,
    CustodyPlace,
    Operation,
    Payment,
    SignatureRefused,
    SpendRefused,
    WalletKind,
)
from orion.chains.tron import building, creation, custody, protobuf
from orion.chains.tron.address import address_of
from orion.chains.tron.fees import FEES, bandwidth_max_sun
from orion.chains.tron.permissions import address_of_key, permission_update
from orion.chains.tron.raw_data import Frame, RawData, digest, encode
from orion.chains.tron.sweep import assemble_sweep, decode_sweep

_KEY, _OTHER, *_CUSTODIANS = (
    PrivateKey(hashlib.sha256(b"single tron %d" % n).digest()) for n in range(7)
)
_OWNER, _STRANGER = (bytes(key.public_key.format()) for key in (_KEY, _OTHER))
_KEYS = CustodyKeys(tuple(bytes(key.public_key.format()) for key in _CUSTODIANS), ())
_ME, _TO = address_of_key(_OWNER), address_of(b"\x22" * 20)
_TOKEN = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"  # USDT of the main network.
_CONTRACTS = {"USDT.tron": _TOKEN}
_START_MS = 1_700_000_000_000
_FRAME = Frame(b"\1\2", b"\3" * 8, _START_MS, _START_MS + 60_000)
_FEE_LIMIT = 30_000_000
_PLACE = CustodyPlace("tron", "private", 7, WalletKind.WARM, 3)
_ACCOUNT = custody.account(_PLACE, _KEYS, _ME)
_OWNERS = custody.owner_addresses(_KEYS)
_HANDOVER = creation.handover(_ACCOUNT, _FRAME)
_UPDATE_OURS = permission_update(_ME, _OWNERS)
_UPDATE = building.update(_ME, [*_OWNERS[:4], _TO], _FRAME)


def _signature(key: PrivateKey, unsigned: bytes) -> bytes:
    return bytes(key.sign_recoverable(digest(unsigned), hasher=None))


def _word(value: object) -> str:
    return value if isinstance(value, str) else "case"


def test_the_group_key_signs_its_handover() -> None:
    message = creation.decode_handover(_HANDOVER, _ACCOUNT)
    assert message == hashlib.sha256(_HANDOVER).digest()
    signature = _signature(_KEY, _HANDOVER)
    signed = creation.assemble_handover(_HANDOVER, _ACCOUNT, _OWNER, signature)
    assert signed == protobuf.part(1, _HANDOVER) + protobuf.part(2, signature)
    cost = creation.creation_cost(_HANDOVER)
    assert cost.handover_sun == 100_000_000 + bandwidth_max_sun(_HANDOVER, 1)
    assert cost.activation_sun == 1_100_000


@pytest.mark.parametrize(
    "unsigned",
    [
        building.transfer(_ME, _TO, 5, _FRAME, 0),
        building.transfer(_ME, _TO, 5, _FRAME, 2),
        building.token_transfer(_ME, _TOKEN, _TO, 5, 1, _FRAME, 0),
        _UPDATE,
        encode(RawData(_FRAME, permission_update(_ME, _OWNERS), 2)),
        encode(RawData(_FRAME, replace(_UPDATE_OURS, actives=_UPDATE_OURS.actives * 2), 0)),
        building.update(_TO, _OWNERS, _FRAME),
        _HANDOVER + b"\0",
        _HANDOVER[:-1],
        b"",
    ],
    ids=_word,
)
def test_the_group_key_signs_nothing_but_its_handover(unsigned: bytes) -> None:
    with pytest.raises(SpendRefused):
        creation.decode_handover(unsigned, _ACCOUNT)


def test_the_group_key_does_not_trust_a_description_that_contradicts_itself() -> None:
    other = replace(_ACCOUNT, address=_TO)
    unsigned = building.update(_TO, _OWNERS, _FRAME)
    with pytest.raises(SpendRefused) as refused:
        creation.decode_handover(unsigned, other)
    assert refused.value.fields["reason"] == "handover"


def test_a_handover_is_signed_by_the_key_that_named_the_account() -> None:
    with pytest.raises(SpendRefused):
        creation.assemble_handover(_HANDOVER, _ACCOUNT, _STRANGER, _signature(_OTHER, _HANDOVER))
    with pytest.raises(SignatureRefused):
        creation.assemble_handover(_HANDOVER, _ACCOUNT, _OWNER, _signature(_OTHER, _HANDOVER))


_SWEPT = building.token_transfer(_ME, _TOKEN, _TO, 700, _FEE_LIMIT, _FRAME, 0)


def test_a_sweep_is_read_as_one_payment_of_its_only_owner() -> None:
    spend = decode_sweep(_SWEPT, (_OWNER,), "mainnet", _CONTRACTS)
    assert spend.operation is Operation.PAY
    assert spend.payments == (Payment("USDT.tron", _TO, 700),)
    assert spend.fee_max_units == _FEE_LIMIT + bandwidth_max_sun(_SWEPT, 1)
    assert spend.claims == ()
    assert spend.version == hashlib.sha256(_SWEPT).hexdigest()
    assert spend.messages == (hashlib.sha256(_SWEPT).digest(),)
    assert spend.expires_at_ms == _FRAME.expiration_ms
    signature = _signature(_KEY, _SWEPT)
    signed = assemble_sweep(_SWEPT, (_OWNER,), "mainnet", (signature,))
    assert signed == protobuf.part(1, _SWEPT) + protobuf.part(2, signature)


def test_a_sweep_of_trx_counts_the_activation_of_a_new_account() -> None:
    unsigned = building.transfer(_ME, _TO, 1, _FRAME, 0)
    spend = decode_sweep(unsigned, (_OWNER,), "private", {})
    assert spend.payments == (Payment("TRX.tron", _TO, 1),)
    assert spend.fee_max_units == bandwidth_max_sun(unsigned, 1) + FEES.new_account_sun


@pytest.mark.parametrize(
    "unsigned, owners, reason",
    [
        (_SWEPT, (), "owner"),
        (_SWEPT, (_OWNER, _STRANGER), "owner"),
        (_SWEPT, (_STRANGER,), "owner"),
        (building.transfer(_ME, _TO, 5, _FRAME, 2), (_OWNER,), "permission"),
        (_UPDATE, (_OWNER,), "contract_type"),
        (_SWEPT[:-1], (_OWNER,), "truncated"),
    ],
    ids=_word,
)
def test_a_sweep_that_is_not_its_owners_own_transfer_is_refused(
    unsigned: bytes, owners: tuple[bytes, ...], reason: str
) -> None:
    with pytest.raises(SpendRefused) as refused:
        decode_sweep(unsigned, owners, "mainnet", _CONTRACTS)
    assert refused.value.fields["reason"] == reason
    with pytest.raises(SpendRefused):
        assemble_sweep(unsigned, owners, "mainnet", (_signature(_KEY, unsigned),))


def test_a_sweep_of_an_unknown_token_or_network_is_refused() -> None:
    with pytest.raises(SpendRefused):
        decode_sweep(_SWEPT, (_OWNER,), "mainnet", {})
    with pytest.raises(UnknownNetwork):
        decode_sweep(_SWEPT, (_OWNER,), "ropsten", _CONTRACTS)


@pytest.mark.parametrize("count", [0, 2])
def test_a_sweep_has_exactly_one_signature(count: int) -> None:
    with pytest.raises(SignatureRefused):
        assemble_sweep(_SWEPT, (_OWNER,), "mainnet", (_signature(_KEY, _SWEPT),) * count)
