"""Thresholds, weights and operations of the Tron engine's permissions."""

import hashlib
from itertools import combinations

import pytest
from coincurve import PrivateKey

from infra.local.tron.accounts import Account
from infra.local.tron.addresses import of_public_key
from infra.local.tron.permissions import check_signatures, validate_update
from infra.local.tron.refusals import Code, Refused
from infra.local.tron.wire import Message

_KEYS = [PrivateKey(hashlib.sha256(b"permission %d" % index).digest()) for index in range(6)]
_ADDRESSES = [of_public_key(key.public_key.format(compressed=False)) for key in _KEYS]
_TXID = hashlib.sha256(b"a payout").digest()
_TRANSFER, _TRIGGER, _PERMISSION_UPDATE = 1, 31, 46
# Bits 1 and 31: transfers and calls.
_PAYOUTS = bytes.fromhex("02000080").ljust(32, b"\0")


def _permission(kind: int, threshold: int, weights: list[int], **more: object) -> Message:
    keys = [
        {"address": address, "weight": weight}
        for address, weight in zip(_ADDRESSES, weights, strict=False)
    ]
    operations: Message = {"operations": _PAYOUTS} if kind == 2 else {}
    return {"type": kind, "threshold": threshold, "keys": keys, **operations, **more}


def _account(threshold: int = 3, weights: tuple[int, ...] = (1, 1, 1, 1, 1)) -> Account:
    account = Account(_ADDRESSES[5].hex())
    account.set_permissions(
        _permission(0, threshold, list(weights)), [_permission(2, threshold, list(weights))]
    )
    return account


def _signed(*indexes: int) -> list[bytes]:
    return [_KEYS[index].sign_recoverable(_TXID, hasher=None) for index in indexes]


def _check(account: Account, signatures: list[bytes], permission: int, kind: int) -> None:
    check_signatures(
        account, permission_id=permission, contract_type=kind, txid=_TXID, signatures=signatures
    )


@pytest.mark.parametrize("permission", [0, 2])
def test_every_three_of_five_keys_suffice(permission: int) -> None:
    for chosen in combinations(range(5), 3):
        _check(_account(), _signed(*chosen), permission, _TRANSFER)


@pytest.mark.parametrize("permission", [0, 2])
def test_no_two_of_five_keys_suffice(permission: int) -> None:
    for chosen in combinations(range(5), 2):
        with pytest.raises(Refused, match="sig error"):
            _check(_account(), _signed(*chosen), permission, _TRANSFER)


def test_weights_count_and_not_heads() -> None:
    account = _account(3, (2, 1, 1, 1, 1))
    _check(account, _signed(0, 4), 2, _TRANSFER)
    with pytest.raises(Refused, match="sig error"):
        _check(account, _signed(1, 2), 2, _TRANSFER)


@pytest.mark.parametrize(
    "signatures, words",
    [
        (_signed(0, 1, 5), "not contained of permission"),
        (_signed(0, 0, 1), "has signed twice"),
        ([], "miss sig"),
        (_signed(0, 1, 2, 3, 4, 5), "too many signatures"),
        ([b"\1" * 64], "Signature size is 64"),
        ([bytes(64) + b"\0"], "no key can be recovered"),
        ([b"\1" * 64 + b"\x09"], "Header byte out of range"),
    ],
)
def test_a_wrong_signature_is_refused_by_name(signatures: list[bytes], words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        _check(_account(), signatures, 0, _TRANSFER)
    assert refused.value.code is Code.SIGERROR


def test_one_key_counts_once_however_its_signatures_differ() -> None:
    (signature,) = _signed(0)
    # The other signature that the same key gives without knowing anything more: n - s.
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high_s = order - int.from_bytes(signature[32:64], "big")
    other = signature[:32] + high_s.to_bytes(32, "big") + bytes([signature[64] ^ 1])
    with pytest.raises(Refused, match="has signed twice"):
        _check(_account(2), [signature, other], 0, _TRANSFER)


def test_a_signature_of_another_transaction_is_refused() -> None:
    other = [key.sign_recoverable(bytes(32), hasher=None) for key in _KEYS[:3]]
    with pytest.raises(Refused, match="not contained of permission"):
        _check(_account(), other, 0, _TRANSFER)


def test_an_active_permission_does_what_its_bitmap_says_and_nothing_else() -> None:
    _check(_account(), _signed(0, 1, 2), 2, _TRIGGER)
    with pytest.raises(Refused, match="Permission denied"):
        _check(_account(), _signed(0, 1, 2), 2, _PERMISSION_UPDATE)
    _check(_account(), _signed(0, 1, 2), 0, _PERMISSION_UPDATE)


def test_an_account_is_born_with_its_own_key_and_without_permission_updates_by_active() -> None:
    born = Account(_ADDRESSES[0].hex())
    _check(born, _signed(0), 0, _PERMISSION_UPDATE)
    _check(born, _signed(0), 2, _TRANSFER)
    with pytest.raises(Refused, match="Permission denied"):
        _check(born, _signed(0), 2, _PERMISSION_UPDATE)


def test_a_permission_that_is_not_there_signs_nothing() -> None:
    with pytest.raises(Refused, match="permission isn't exit"):
        _check(_account(), _signed(0, 1, 2), 3, _TRANSFER)


_OWNER = _permission(0, 3, [1] * 5)
_ACTIVE = _permission(2, 3, [1] * 5)
_TWICE = {**_OWNER, "keys": [{"address": _ADDRESSES[0], "weight": 1}] * 3}
_WITNESS_BIT = bytes.fromhex("80").ljust(32, b"\0")


@pytest.mark.parametrize(
    "update, words",
    [
        ({"actives": [_ACTIVE]}, "owner permission is missed"),
        ({"owner": _OWNER}, "active permission is missed"),
        ({"owner": _OWNER, "actives": [_ACTIVE] * 9}, "too many"),
        ({"owner": _OWNER, "witness": _OWNER, "actives": [_ACTIVE]}, "isn't witness"),
        ({"owner": _ACTIVE, "actives": [_ACTIVE]}, "owner permission type is error"),
        ({"owner": _OWNER, "actives": [_OWNER]}, "active permission type is error"),
        ({"owner": _permission(0, 6, [1] * 5), "actives": [_ACTIVE]}, "less than threshold"),
        ({"owner": _permission(0, 0, [1] * 5), "actives": [_ACTIVE]}, "greater than 0"),
        ({"owner": _permission(0, 1, [1] * 6), "actives": [_ACTIVE]}, "not be greater than 5"),
        ({"owner": _permission(0, 1, []), "actives": [_ACTIVE]}, "count should be greater"),
        ({"owner": _permission(0, 1, [1, 0]), "actives": [_ACTIVE]}, "weight should be greater"),
        ({"owner": _TWICE, "actives": [_ACTIVE]}, "distinct"),
        ({"owner": {**_OWNER, "operations": _PAYOUTS}, "actives": [_ACTIVE]}, "needn't operations"),
        ({"owner": _OWNER, "actives": [{**_ACTIVE, "operations": b"\2"}]}, "size must 32"),
        (
            {"owner": _OWNER, "actives": [{**_ACTIVE, "operations": _WITNESS_BIT}]},
            "7 isn't a validate ContractType",
        ),
        ({"owner": {**_OWNER, "permission_name": "x" * 33}, "actives": [_ACTIVE]}, "too long"),
        ({"owner": {**_OWNER, "parent_id": 1}, "actives": [_ACTIVE]}, "parent should be owner"),
    ],
)
def test_a_permission_update_that_could_lock_an_account_is_refused(
    update: Message, words: str
) -> None:
    with pytest.raises(Refused, match=words) as refused:
        validate_update(update)
    assert refused.value.code is Code.CONTRACT_VALIDATE_ERROR


def test_a_sound_permission_update_is_taken() -> None:
    owner, actives = validate_update({"owner": _OWNER, "actives": [_ACTIVE, _ACTIVE]})
    account = Account(_ADDRESSES[0].hex())
    account.set_permissions(owner, actives)
    assert [one["id"] for one in account.active_permissions()] == [2, 3]
