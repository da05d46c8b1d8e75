"""Requests to kms, the messages that leave it, and the seal of its process."""

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from orion.adapters.mysql.outbox import MAX_PAYLOAD_BYTES
from orion.kms.errors import MalformedRequest, UnusableNetworks
from orion.kms.keys.branches import wallet_keys
from orion.kms.model import (
    MAX_GROUP,
    Message,
    Networks,
    PoolRequest,
    address_messages,
    extend_pool_request,
    group_created,
    pool_call,
)
from orion.kms.seed import mixed_seed, overwrite
from orion.log.model import AuditEvent
from orion.records import canonical_json
from orion.wallet.addresses import WalletRange, addresses
from orion.wallet.errors import IndexOutOfRange

ROOT = Path(__file__).parents[2]
TRACE = "ab" * 16
REQUEST: Mapping[str, object] = {
    "v": 1, "trace_id": TRACE, "kind": "extend_pool", "group": 0, "first_index": 0, "count": 500,
}  # fmt: skip
NETWORKS = Networks("regtest", "31337")
FOUR = Networks("regtest", "31337", tron="private", solana="localnet")


def messages(
    first: int, count: int, networks: Networks = NETWORKS, *, trace_id: str = TRACE
) -> list[Message]:
    wanted = WalletRange(first, count)
    wallets = list(addresses(wallet_keys(bytes(range(32)), networks.by_chain(), wanted)))
    return list(address_messages(PoolRequest(0, wanted, trace_id), wallets, networks))


def test_a_request_of_the_contract_is_read() -> None:
    assert extend_pool_request(REQUEST) == PoolRequest(0, WalletRange(0, 500), TRACE)
    assert pool_call({"group": 2, "first_index": 7, "count": 1}) == PoolRequest(
        2, WalletRange(7, 1), "0" * 32
    )


@pytest.mark.parametrize(
    "changed",
    [{"v": 2}, {"kind": "shrink_pool"}, {"group": -1}, {"group": MAX_GROUP + 1}, {"group": "0"},
     {"group": True}, {"first_index": None}, {"count": 1.5}, {"trace_id": ""}, {"trace_id": 7},
     {"trace_id": "AB" * 16}, {"extra": 1}],
)  # fmt: skip
def test_a_request_of_another_form_is_refused(changed: Mapping[str, object]) -> None:
    with pytest.raises(MalformedRequest):
        extend_pool_request({**REQUEST, **changed})


@pytest.mark.parametrize("field", sorted(REQUEST))
def test_a_request_without_one_of_its_fields_is_refused(field: str) -> None:
    with pytest.raises(MalformedRequest):
        extend_pool_request({name: value for name, value in REQUEST.items() if name != field})


@pytest.mark.parametrize("first,count", [(0, 1001), (0, 0), (9_999, 2)])
def test_a_range_beyond_the_group_is_refused(first: int, count: int) -> None:
    with pytest.raises(IndexOutOfRange):
        pool_call({"group": 0, "first_index": first, "count": count})


def test_a_range_leaves_in_records_of_at_most_500_wallets() -> None:
    sizes = [len(m.body["wallets"]) for m in messages(100, 1_000)]  # type: ignore[arg-type]

    assert sizes == [500, 500]
    assert len(canonical_json(messages(9_500, 500)[0].body)) < 100_000


def test_a_stage_with_four_chains_tells_four_addresses_a_wallet_within_a_records_size() -> None:
    (message,) = messages(9_500, 500, FOUR)
    rows = cast(list[Any], message.body["wallets"])

    assert {tuple(sorted(row["addresses"])) for row in rows} == {
        ("bitcoin", "ethereum", "solana", "tron")
    }
    assert len(canonical_json(message.body)) < 150_000 < MAX_PAYLOAD_BYTES


def test_each_added_chain_makes_a_range_another_event() -> None:
    identities = {
        messages(0, 1, networks)[0].event_id
        for networks in (
            NETWORKS,
            FOUR,
            Networks("regtest", "31337", tron="private"),
            Networks("regtest", "31337", solana="private"),
            Networks("regtest", "31337", tron="nile", solana="localnet"),
        )
    }

    assert len(identities) == 5


def test_a_repeated_request_is_one_event_and_a_new_one_is_answered_anew() -> None:
    first = messages(0, 1)[0].event_id
    assert messages(0, 1)[0].event_id == first
    assert messages(0, 1, trace_id="cd" * 16)[0].event_id != first


def test_the_networks_of_a_stage_are_read_from_its_parameter() -> None:
    two = {"bitcoin": "regtest", "ethereum": "31337"}

    assert Networks.read(two) == NETWORKS
    assert Networks.read({**two, "tron": "private", "solana": "localnet"}) == FOUR
    assert list(Networks.read({**two, "solana": "devnet"}).by_chain()) == [*two, "solana"]


@pytest.mark.parametrize(
    "changed", [{"tron": 7}, {"solana": None}, {"tron": ""}, {"ethereum": 31337}, {"bitcoin": None}]
)
def test_a_network_that_is_no_text_is_refused(changed: Mapping[str, object]) -> None:
    with pytest.raises(UnusableNetworks):
        Networks.read({"bitcoin": "regtest", "ethereum": "31337", **changed})


@pytest.mark.parametrize("chain", ["bitcoin", "ethereum"])
def test_a_stage_without_bitcoin_or_ethereum_is_refused(chain: str) -> None:
    with pytest.raises(UnusableNetworks):
        Networks.read({chain: "regtest", "tron": "nile"})


def test_the_same_range_is_the_same_event_and_another_network_another() -> None:
    first = [message.event_id for message in messages(0, 600)]

    assert [message.event_id for message in messages(0, 600)] == first
    assert messages(0, 500)[0].event_id == first[0]
    assert messages(1, 500)[0].event_id not in first
    assert messages(0, 500, Networks("mainnet", "1"))[0].event_id not in first


def test_the_audit_event_of_a_group_is_one_that_the_audit_book_takes() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    event = AuditEvent.parse(
        group_created(3, "arn:aws:kms:x", {"hot": 0, "warm": 1}, TRACE, at).body
    )

    assert (event.module, event.action, event.subject) == ("kms", "wallet_group.created", "group:3")
    assert event.at == at


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_seed_depends_on_both_sources_its_group_and_its_stage(a: bytes, b: bytes) -> None:
    seed = mixed_seed(a, b, 0, "dev")
    others = [
        mixed_seed(bytes([a[0] ^ 1]) + a[1:], b, 0, "dev"),
        mixed_seed(a, bytes([b[0] ^ 1]) + b[1:], 0, "dev"),
        mixed_seed(a, b, 1, "dev"),
        mixed_seed(a, b, 0, "prod"),
    ]

    assert len(seed) == 32
    assert seed not in others
    assert mixed_seed(a, b, 0, "dev") == seed


def test_a_seed_is_hkdf_of_both_sources() -> None:
    kdf = HKDF(SHA512(), 32, b"orion wallet seed 1", b"group=7\npurpose=wallet-seed\nstage=dev")

    assert mixed_seed(b"a" * 32, b"b" * 32, 7, "dev") == kdf.derive(b"a" * 32 + b"b" * 32)


@pytest.mark.parametrize("local,remote", [(b"", b"b" * 32), (b"a" * 32, b"b" * 31)])
def test_a_source_that_gave_too_little_makes_no_seed(local: bytes, remote: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        mixed_seed(local, remote, 0, "dev")


def test_an_overwritten_seed_is_zeros_in_place() -> None:
    seed = bytearray(b"x" * 32)
    alias = memoryview(seed)
    overwrite(seed)

    assert alias.tobytes() == bytes(32)


def python(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "layers/orion/python"), "PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()


def test_a_process_is_dumpable_until_the_kms_composition_is_imported() -> None:
    # The first answer is the control: it shows that the question sees a dumpable process.
    ask = "ctypes.CDLL(None).prctl(3,0,0,0,0)"
    assert python(f"import ctypes; print({ask})") == "1"
    program = (
        f"import ctypes, resource; import orion.runtime.kms;"
        f"print({ask}, resource.getrlimit(resource.RLIMIT_CORE))"
    )
    assert python(program) == "0 (0, 0)"


def test_responses_of_kms_are_not_logged_even_at_debug_level() -> None:
    program = (
        "import logging; logging.basicConfig(level=logging.DEBUG);"
        "from orion.runtime import kms;"
        "print(logging.getLogger('botocore.parsers').isEnabledFor(logging.DEBUG))"
    )
    assert python(program) == "False"


def test_only_the_kms_composition_brings_private_derivation() -> None:
    program = (
        "import sys; import orion.wallet.addresses, orion.runtime.relay, orion.runtime.log_module;"
        "print('orion.kms.keys' in sys.modules)"
    )
    assert python(program) == "False"
