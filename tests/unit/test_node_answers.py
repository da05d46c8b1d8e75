"""Commands as they are made, and answers as they are believed; the agent's own code signs them."""

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from node_stacks.agent.commands.answer_key import AnswerKey, answer_key
from node_stacks.agent.commands.command import read_command
from orion.log.node_commands.answer import (
    MAX_ANSWER_BYTES,
    Answer,
    Asked,
    Outcome,
    check_answer,
    read_answer,
)
from orion.log.node_commands.command import MAX_LIFE
from orion.log.node_commands.errors import AnswerRefused
from orion.records import canonical_json
from tests.unit.agent_commands import ISSUERS, NOW, SOURCE, command, record

ASKED = Asked("bitcoin", "bitcoin-1", NOW + timedelta(seconds=60), answered=False)
RESULT = {"height": 7, "hash": "aa", "units": ["41234", None]}


@pytest.fixture
def key(tmp_path: Path) -> AnswerKey:
    return answer_key(tmp_path / "state")


def body(**changed: Any) -> dict[str, object]:
    fields: dict[str, object] = {
        "v": 1,
        "trace_id": "0" * 32,
        "kind": "answer",
        "command_id": f"{1:032x}",
        "chain": "bitcoin",
        "node": "bitcoin-1",
        "outcome": "done",
        "reason": None,
        "result": RESULT,
        "answered_at": "2026-11-23T10:00:00.000Z",
    }
    return fields | changed


def read(value: bytes) -> Answer:
    answer = read_answer(value)
    assert answer is not None
    return answer


def refusal(answer: Answer, asked: Asked | None, public: str | None, now: datetime = NOW) -> str:
    with pytest.raises(AnswerRefused) as refused:
        check_answer(answer, asked, public, now)
    return str(refused.value.fields["reason"])


def test_a_command_is_read_by_the_agent_as_it_was_made() -> None:
    made = command()
    found = read_command(record(made), SOURCE, ISSUERS, NOW)
    assert (found.id, found.name, found.expires_at) == (made.id.hex(), made.name, made.expires_at)
    assert found.arguments == made.arguments


def test_a_moment_of_another_offset_is_the_same_moment_and_one_without_is_none() -> None:
    east = timezone(timedelta(hours=2))
    made = command(expires_at=(NOW + timedelta(seconds=60)).astimezone(east))
    found = read_command(record(made), SOURCE, ISSUERS, NOW)
    assert found.expires_at == NOW + timedelta(seconds=60)
    with pytest.raises(ValueError, match="offset"):
        command(expires_at=datetime(2026, 11, 23, 10, 1)).body()  # noqa: DTZ001


def test_the_longest_life_of_a_command_is_what_agents_take() -> None:
    read_command(record(command(expires_at=NOW + MAX_LIFE)), SOURCE, ISSUERS, NOW)


def test_an_answer_of_the_asked_agent_is_believed(key: AnswerKey) -> None:
    answer = read(key.signed(body()))
    check_answer(answer, ASKED, key.public_text, NOW)
    assert (answer.outcome, answer.reason, answer.result) == (Outcome.DONE, None, RESULT)


def test_an_answer_without_a_result_keeps_its_reason(key: AnswerKey) -> None:
    answer = read(key.signed(body(outcome="failed", reason="chain_moved", result=None)))
    check_answer(answer, ASKED, key.public_text, NOW)
    assert (answer.outcome, answer.reason) == (Outcome.FAILED, "chain_moved")


@pytest.mark.parametrize(
    "changed",
    [
        {"result": RESULT | {"units": ["41235", None]}},
        {"trace_id": "1" * 32},
        {"answered_at": "2026-11-23T10:00:01.000Z"},
        {"outcome": "failed", "reason": "timeout", "result": None},
    ],
)
def test_no_field_of_an_answer_can_be_changed_after_it_was_signed(
    key: AnswerKey, changed: dict[str, object]
) -> None:
    value = canonical_json(json.loads(key.signed(body())) | changed)
    assert refusal(read(value), ASKED, key.public_text) == "signature_invalid"


def test_an_answer_of_another_key_is_kept_out(key: AnswerKey, tmp_path: Path) -> None:
    stranger = answer_key(tmp_path / "stranger")
    assert refusal(read(stranger.signed(body())), ASKED, key.public_text) == "signature_invalid"


@pytest.mark.parametrize("public", ["", "AAAA", "x", base64.b64encode(b"\0" * 44).decode()])
def test_a_published_key_that_is_none_believes_nobody(key: AnswerKey, public: str) -> None:
    assert refusal(read(key.signed(body())), ASKED, public) == "signature_invalid"


def test_an_answer_that_nobody_asked_for_or_another_node_gives_is_kept_out(key: AnswerKey) -> None:
    answer = read(key.signed(body()))
    assert refusal(answer, None, key.public_text) == "unknown_command"
    assert refusal(answer, replace(ASKED, node="bitcoin-2"), key.public_text) == "foreign"
    assert refusal(answer, replace(ASKED, chain="ethereum"), key.public_text) == "foreign"
    assert refusal(answer, ASKED, None) == "no_key"


def test_an_answer_after_the_expiry_is_late_whatever_it_says_of_its_time(key: AnswerKey) -> None:
    answer = read(key.signed(body()))
    check_answer(answer, ASKED, key.public_text, ASKED.expires_at - timedelta(microseconds=1))
    assert refusal(answer, ASKED, key.public_text, ASKED.expires_at) == "late"


def test_a_second_answer_changes_nothing(key: AnswerKey) -> None:
    answer = read(key.signed(body()))
    assert refusal(answer, replace(ASKED, answered=True), key.public_text) == "repeated"


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"v": True},
        {"more": 1},
        {"command_id": "1"},
        {"command_id": None},
        {"trace_id": "x"},
        {"node": "../1"},
        {"chain": 5},
        {"outcome": "perhaps"},
        {"outcome": []},
        {"outcome": "done", "reason": "timeout"},
        {"outcome": "done", "result": None},
        {"outcome": "done", "result": []},
        {"outcome": "failed", "reason": "timeout"},
        {"outcome": "failed", "reason": None, "result": None},
        {"outcome": "refused", "reason": "Not a word", "result": None},
    ],
)
def test_an_answer_of_another_form_is_malformed(key: AnswerKey, changed: dict[str, object]) -> None:
    with pytest.raises(AnswerRefused) as refused:
        read_answer(key.signed(body(**changed)))
    assert refused.value.reason == "malformed"


@pytest.mark.parametrize("value", [b"{", b"[]"])
def test_what_is_no_record_is_malformed(value: bytes) -> None:
    with pytest.raises(AnswerRefused):
        read_answer(value)


@pytest.mark.parametrize("signature", [None, "?", "\\ud800"])
def test_a_signature_that_cannot_be_read_is_malformed(key: AnswerKey, signature: Any) -> None:
    value = json.dumps(body() | {"signature": signature}).replace("\\\\", "\\").encode()
    with pytest.raises(AnswerRefused):
        read_answer(value)


def test_an_answer_that_is_too_large_is_malformed(key: AnswerKey) -> None:
    value = key.signed(body())
    assert read(value + b" " * (MAX_ANSWER_BYTES - len(value))).outcome is Outcome.DONE
    with pytest.raises(AnswerRefused):
        read_answer(value + b" " * (MAX_ANSWER_BYTES - len(value) + 1))


def test_other_records_of_the_topic_are_no_answers() -> None:
    assert read_answer(b'{"v":1,"kind":"resume_request"}') is None
