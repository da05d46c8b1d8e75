"""Records and request bodies are read strictly: only JSON as we write it is taken."""

import pytest

from orion.records import MalformedJson, MalformedRecord, canonical_json, parse_json, parse_object
from orion.runtime.kafka import partitions


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b'{"a":1',
        b'{"a":1.5}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1,"a":2}',
        b'{"a":\xff}',
        b"\xef\xbb\xbf{}",
        b'{"a":' + b"1" * 81 + b"}",
        b'{"a":' * 100_000,
    ],
)
def test_what_is_not_one_strict_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_object(text)
    with pytest.raises(MalformedRecord):
        parse_json(text)


def test_canonical_json_has_one_form() -> None:
    assert canonical_json({"b": "é", "a": [1, None]}) == '{"a":[1,null],"b":"é"}'.encode()


# The event of the AWS Lambda Developer Guide, "Using Lambda with Amazon MSK", with two records
# more.
EVENT: dict[str, object] = {
    "eventSource": "aws:kafka",
    "eventSourceArn": "arn:aws:kafka:us-east-1:123456789012:cluster/shop/751d2973-a626",
    "bootstrapServers": "b-2.example:9092,b-1.example:9092",
    "records": {
        "mytopic-0": [
            {
                "topic": "mytopic",
                "partition": 0,
                "offset": 16,
                "timestamp": 1545084650988,
                "timestampType": "CREATE_TIME",
                "key": "YWJj",
                "value": "e30=",
                "headers": [{"event-id": [104, 101, 97]}, {"raw": [-1, 0]}],
            },
            {
                "topic": "mytopic",
                "partition": 0,
                "offset": 15,
                "timestamp": 1545084650987,
                "timestampType": "CREATE_TIME",
                "value": "e30=",
                "headers": [],
            },
        ],
        "mytopic-1": [
            {
                "topic": "mytopic",
                "partition": 1,
                "offset": 3,
                "timestamp": 1,
                "key": None,
                "value": "e30=",
            }
        ],
    },
}


def test_an_event_is_split_by_partition_in_offset_order() -> None:
    first, second = partitions(EVENT)
    assert [(r.partition, r.offset) for r in first] == [(0, 15), (0, 16)]
    assert (first[1].key, first[1].value, first[1].headers) == (
        b"abc",
        b"{}",
        {"event-id": b"hea", "raw": b"\xff\x00"},
    )
    assert [(r.partition, r.offset, r.key) for r in second] == [(1, 3, b"")]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"eventSource": "aws:sqs", "records": {}},
        {"eventSource": "aws:kafka", "records": []},
        {"eventSource": "aws:kafka", "records": {"t-0": [{"topic": "t"}]}},
        {
            "eventSource": "aws:kafka",
            "records": {"t-0": [{"topic": "t", "partition": 0, "offset": 0, "value": "?"}]},
        },
    ],
)
def test_another_event_is_refused(event: dict[str, object]) -> None:
    with pytest.raises(MalformedRecord):
        partitions(event)
