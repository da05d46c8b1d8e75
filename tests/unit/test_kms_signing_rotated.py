"""Which rotations are recorded, and what is then known of the target set's accounts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orion.chains.solana.address import address_of
from orion.chains.spend import CustodyAccount, CustodyPlace, WalletKind, custody
from orion.errors import OrionError
from orion.kms.custody.errors import EvidenceRefused
from orion.kms.custody.statements import Kind, Statement
from orion.kms.errors import MalformedRequest
from orion.kms.signing.errors import RotationRefused, WrongNetwork
from orion.kms.signing.model import RotatedRequest, rotated_request
from orion.kms.signing.rotated import check_target, checked_statements, rotated_accounts
from orion.kms.signing.sets import set_digest
from tests.unit.kms_signing_keys import custody_set

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NETWORKS = {"bitcoin": "regtest", "ethereum": "31337", "tron": "private", "solana": "localnet"}
ANCHORS = {
    "bitcoin": "",
    "ethereum": "",
    "tron": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    "solana": address_of(custody_set(900, WalletKind.HOT).keys.ed25519[0]),
}
OLD, NEW, LAST = (custody_set(number, WalletKind.HOT) for number in (3, 5, 7))
DIGEST = set_digest(NEW)
REQUEST = RotatedRequest(9, WalletKind.HOT, 5, [], "ab" * 16)
PRESENT = tuple(
    custody(chain).account(
        CustodyPlace(chain, network, 9, WalletKind.HOT, 3), OLD.keys, ANCHORS[chain]
    )
    for chain, network in sorted(NETWORKS.items())
)
MOVED = rotated_accounts(PRESENT, NEW)
ACCOUNTS = {account.place.chain: account for account in MOVED}


def held(chain: str, **changes: object) -> Statement:
    account = ACCOUNTS[chain]
    return replace(
        Statement(
            Kind.HELD,
            f"statements[{chain}]",
            NOW,
            NOW + timedelta(days=1),
            chain=chain,
            network=account.place.network,
            address=account.address,
            set_digest=DIGEST,
            final_at=7,
        ),
        **changes,  # type: ignore[arg-type]
    )


ALL = [held(chain) for chain in ("ethereum", "tron", "solana")]


def reason_of(refusal: OrionError) -> object:
    return refusal.fields["reason"]


def test_accounts_stay_where_keys_are_replaced_and_move_where_they_are_not() -> None:
    before = {account.place.chain: account.address for account in PRESENT}
    same = {chain for chain, account in ACCOUNTS.items() if account.address == before[chain]}
    assert same == {"ethereum", "tron"}
    assert {account.place.set_no for account in MOVED} == {5}
    assert {account.keys for account in MOVED} == {NEW.keys}
    assert {chain: ACCOUNTS[chain].anchor for chain in ("bitcoin", "tron", "solana")} == {
        chain: ANCHORS[chain] for chain in ("bitcoin", "tron", "solana")
    }


def test_a_safe_keeps_its_address_through_a_second_rotation() -> None:
    again = {account.place.chain: account for account in rotated_accounts(MOVED, LAST)}
    assert again["ethereum"].address == ACCOUNTS["ethereum"].address
    assert again["ethereum"].anchor == ACCOUNTS["ethereum"].anchor != ""
    assert again["ethereum"].place.set_no == 7


def test_every_account_whose_holders_its_address_does_not_tell_wants_one_statement() -> None:
    assert checked_statements(ALL, MOVED, DIGEST, NOW) == dict.fromkeys(
        ("ethereum", "tron", "solana"), 7
    )
    only_bitcoin: list[CustodyAccount] = [ACCOUNTS["bitcoin"]]
    assert checked_statements([], only_bitcoin, DIGEST, NOW) == {}


@pytest.mark.parametrize("missing", range(3))
def test_a_missing_statement_is_refused_and_its_chain_named(missing: int) -> None:
    given = [each for place, each in enumerate(ALL) if place != missing]
    with pytest.raises(EvidenceRefused) as caught:
        checked_statements(given, MOVED, DIGEST, NOW)
    assert caught.value.reason == "held_missing"
    assert caught.value.fields["part"] == f"statements.{ALL[missing].chain}"


@pytest.mark.parametrize("place", range(3))
def test_a_statement_about_anything_else_is_refused(place: int) -> None:
    cases: list[tuple[dict[str, object], str]] = [
        ({"address": "elsewhere"}, "about_another"),
        ({"set_digest": set_digest(OLD)}, "about_another"),
        ({"kind": Kind.FAILED}, "not_wanted"),
        ({"expires_at": NOW}, "not_valid_now"),
        ({"issued_at": NOW + timedelta(minutes=2)}, "not_valid_now"),
        ({"chain": "bitcoin"}, "not_wanted"),
        ({"chain": ALL[place - 1].chain}, "not_wanted"),
    ]
    for changes, reason in cases:
        others = [each for each in ALL if each is not ALL[place]]
        with pytest.raises(EvidenceRefused) as caught:
            checked_statements([*others, replace(ALL[place], **changes)], MOVED, DIGEST, NOW)  # type: ignore[arg-type]
        assert caught.value.reason == reason, changes
    other_network = [replace(each, network="mainnet") for each in ALL]
    with pytest.raises(WrongNetwork):
        checked_statements(other_network, MOVED, DIGEST, NOW)
    with pytest.raises(EvidenceRefused, match="no word"):
        checked_statements(ALL, [ACCOUNTS["bitcoin"]], DIGEST, NOW)


def test_a_wallet_moves_to_a_registered_set_of_its_purpose_that_never_held_it() -> None:
    assert check_target(NEW, REQUEST, 3, {3}) == NEW
    assert check_target(NEW, REQUEST, 3, {2, 3}) == NEW
    assert check_target(NEW, REQUEST, 5, {3, 5}) is None, "a repeat"
    warm = custody_set(5, WalletKind.WARM)
    refused = [
        ((None, 3, {3}), "set_not_registered"),
        ((warm, 3, {3}), "other_purpose"),
        ((NEW, 5, {5}), "present_set"),
        ((NEW, 7, {3, 5, 7}), "former_set"),
    ]
    for (target, present, known), reason in refused:
        with pytest.raises(RotationRefused) as caught:
            check_target(target, REQUEST, present, known)
        assert reason_of(caught.value) == reason


def test_a_request_has_exactly_its_fields() -> None:
    body = {
        "v": 1, "trace_id": "ab" * 16, "group": 9, "wallet": "hot", "target_set": 5,
        "statements": [],
    }  # fmt: skip
    assert rotated_request(body) == REQUEST
    bad: list[dict[str, object]] = [
        {"group": -1}, {"wallet": "cold"}, {"target_set": 0}, {"target_set": 1_001},
        {"target_set": True}, {"v": 2}, {"more": 1},
    ]  # fmt: skip
    for changes in bad:
        with pytest.raises(MalformedRequest):
            rotated_request(body | changes)
    with pytest.raises(MalformedRequest):
        rotated_request({name: value for name, value in body.items() if name != "statements"})
