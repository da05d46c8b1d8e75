"""What an agent believes of a command, and why it refuses one."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node_stacks.agent.commands.command import (
    COMMAND_BYTES_MAX,
    HORIZON,
    Command,
    CommandRefused,
    Reason,
    is_command,
    read_command,
    read_issuers,
)
from node_stacks.agent.errors import SettingsMissing
from orion.records import canonical_json
from tests.unit.agent_commands import (
    ARGUMENTS,
    ISSUERS,
    NOW,
    SOURCE,
    command,
    issuers_text,
    record,
    signed,
)


def reason_of(value: bytes) -> Reason:
    with pytest.raises(CommandRefused) as refused:
        read_command(value, SOURCE, ISSUERS, NOW)
    return refused.value.reason


def changed(value: bytes, **fields: Any) -> bytes:
    return canonical_json(json.loads(value) | fields)


def test_a_command_of_a_known_issuer_is_read_with_its_arguments() -> None:
    found = read_command(record(command()), SOURCE, ISSUERS, NOW)
    assert found == Command(
        id=f"{1:032x}",
        trace_id="0" * 32,
        name="balances",
        issuer="reconciliation",
        purpose="reconciliation",
        expires_at=NOW + timedelta(seconds=60),
        permitted=True,
        arguments=ARGUMENTS,
    )


def test_the_order_and_the_spaces_of_a_record_do_not_matter_to_its_signature() -> None:
    body = json.loads(record(command()))
    value = json.dumps(dict(reversed(body.items())), indent=2).encode()
    assert read_command(value, SOURCE, ISSUERS, NOW).id == f"{1:032x}"


@pytest.mark.parametrize(
    "field, value",
    [
        ("trace_id", "1" * 32),
        ("command", "broadcast"),
        ("command_id", "2" * 32),
        ("purpose", "payout"),
        ("expires_at", (NOW + timedelta(seconds=61)).isoformat()),
        ("arguments", {"height": 8, "items": []}),
    ],
)
def test_no_field_of_a_command_can_be_changed_after_it_was_signed(field: str, value: Any) -> None:
    assert reason_of(changed(record(command()), **{field: value})) is Reason.SIGNATURE_INVALID


def test_a_command_of_another_key_is_refused() -> None:
    stranger = generate_private_key(SECP256R1())
    assert reason_of(record(command(), stranger)) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("text", ["", "A", "====", base64.b64encode(b"x" * 70).decode(), "A" * 900])
def test_what_is_no_signature_is_refused(text: str) -> None:
    assert reason_of(changed(record(command()), signature=text)) is Reason.SIGNATURE_INVALID


def test_text_that_has_no_bytes_in_utf_8_is_refused_without_harm() -> None:
    value = record(command()).replace(b'"reconciliation","v"', b'"x","v"')
    lone = value.replace(b'"height":7', b'"height":"\\ud800"')
    assert lone != value
    assert reason_of(lone) is Reason.SIGNATURE_INVALID


def test_an_issuer_that_the_stage_does_not_name_is_refused() -> None:
    assert reason_of(record(command(issuer="moneyout"))) is Reason.ISSUER_UNKNOWN
    with pytest.raises(CommandRefused) as refused:
        read_command(record(command()), SOURCE, read_issuers(None), NOW)
    assert refused.value.reason is Reason.ISSUER_UNKNOWN


def test_a_command_that_its_issuer_may_not_give_is_not_permitted() -> None:
    assert not read_command(record(command(name="broadcast")), SOURCE, ISSUERS, NOW).permitted


def test_a_command_for_this_name_on_another_chain_is_foreign() -> None:
    assert reason_of(record(command(chain="ethereum"))) is Reason.FOREIGN


def test_only_commands_for_this_node_are_looked_at() -> None:
    assert is_command(record(command()), "bitcoin-1")
    assert not is_command(record(command(node="bitcoin-2")), "bitcoin-1")
    assert not is_command(changed(record(command()), kind="resume"), "bitcoin-1")


def test_a_command_expires_at_its_moment_and_not_before() -> None:
    assert reason_of(record(command(expires_at=NOW))) is Reason.EXPIRED
    just = command(expires_at=NOW + timedelta(microseconds=1))
    assert read_command(record(just), SOURCE, ISSUERS, NOW).permitted


def test_a_command_further_ahead_than_ten_minutes_is_refused() -> None:
    assert timedelta(minutes=10) == HORIZON
    assert read_command(record(command(expires_at=NOW + HORIZON)), SOURCE, ISSUERS, NOW).permitted
    later = command(expires_at=NOW + HORIZON + timedelta(microseconds=1))
    assert reason_of(record(later)) is Reason.TOO_FAR


@pytest.mark.parametrize(
    "fields",
    [
        {"v": 2},
        {"v": True},
        {"more": 1},
        {"trace_id": "x"},
        {"trace_id": None},
        {"command": 1},
        {"command": "../balances"},
        {"issuer": ""},
        {"purpose": "P"},
        {"arguments": []},
        {"signature": None},
        {"expires_at": 5},
        {"command_id": "A" * 32},
        {"command_id": None},
    ],
)
def test_a_command_of_another_form_is_malformed(fields: dict[str, Any]) -> None:
    assert reason_of(changed(record(command()), **fields)) is Reason.MALFORMED


@pytest.mark.parametrize("text", ["soon", "2026-11-23T10:00:30"])
def test_a_signed_moment_that_is_none_is_malformed(text: str) -> None:
    assert reason_of(signed(command().body() | {"expires_at": text})) is Reason.MALFORMED


def test_the_signature_is_ecdsa_over_sha_256_of_the_canonical_json() -> None:
    assert read_command(signed(command().body()), SOURCE, ISSUERS, NOW).id == f"{1:032x}"


def test_a_command_that_is_too_large_or_no_object_is_malformed() -> None:
    assert reason_of(b" " * COMMAND_BYTES_MAX + record(command())) is Reason.MALFORMED
    assert reason_of(b"[]") is Reason.MALFORMED


def spki(key: Any) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"a":{}}',
        '{"a":{"public_key":"AAAA","commands":[]}}',
        json.dumps({"a": {"public_key": spki(generate_private_key(SECP256K1())), "commands": []}}),
        json.dumps({"a": {"public_key": spki(Ed25519PrivateKey.generate()), "commands": []}}),
        json.dumps({"a": {"public_key": spki(generate_private_key(SECP256R1())), "commands": "x"}}),
    ],
)
def test_issuers_that_cannot_be_read_stop_the_agent_instead_of_letting_nobody_command(
    text: str,
) -> None:
    with pytest.raises(SettingsMissing):
        read_issuers(text)


def test_issuers_are_read_with_their_commands() -> None:
    assert read_issuers(issuers_text())["reconciliation"].commands == {"balances"}
