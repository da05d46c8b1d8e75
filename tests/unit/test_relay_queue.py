"""What a relay hands to SQS at once: within the quotas, in order, nothing left out."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.adapters.mysql.outbox import OutboxRow, Unsent, sqs_row
from orion.ids import random_id
from orion.runtime.relay_queue import (
    BATCH_BYTES,
    BATCH_MESSAGES,
    batches,
    size_bytes,
    text_of,
)

# Of the event id: its name, the word String and 32 digits.
ATTRIBUTES = 8 + 6 + 32


def messages(*sizes: int) -> list[Unsent]:
    """Messages whose bodies and attributes have these sizes together."""
    return [
        Unsent(seq, OutboxRow(random_id(), "sqs:webhooks", b"k", b"x" * (size - ATTRIBUTES)))
        for seq, size in enumerate(sizes)
    ]


@given(st.lists(st.integers(ATTRIBUTES, BATCH_BYTES), max_size=25))
def test_every_batch_is_within_the_quotas_and_order_stays(sizes: list[int]) -> None:
    rows = messages(*sizes)
    made = list(batches(rows))
    assert [unsent for batch in made for unsent in batch] == rows
    for batch in made:
        assert 1 <= len(batch) <= BATCH_MESSAGES == 10
        assert sum(size_bytes(unsent) for unsent in batch) <= BATCH_BYTES == 262_144
    for one, following in pairwise(made):
        whole = len(one) == 10 or sum(map(size_bytes, [*one, following[0]])) > BATCH_BYTES
        assert whole, "a batch that is not full leaves room for the next message"


@pytest.mark.parametrize(
    "sizes, lengths",
    [
        ((BATCH_BYTES,), [1]),
        ((BATCH_BYTES - 100, 100, 46), [2, 1]),
        ((131_072, 131_072, 131_073), [2, 1]),
        ((46,) * 21, [10, 10, 1]),
    ],
)
def test_attributes_count_against_the_quota(sizes: tuple[int, ...], lengths: list[int]) -> None:
    assert [len(batch) for batch in batches(messages(*sizes))] == lengths


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_a_message_is_ascii_says_the_same_and_counts_as_it_is_sent(body: dict[str, object]) -> None:
    unsent = Unsent(1, sqs_row("webhooks", "k", body, random_id()))
    text = text_of(unsent)
    assert text.isascii()
    assert json.loads(text) == body
    # Its names keep their order and its other bytes are as they were stored.
    assert re.sub(r"\\u[0-9a-f]{4}", "", text) == re.sub(
        r"\\u[0-9a-f]{4}|[^\x00-\x7f]", "", unsent.row.payload.decode()
    )
    assert size_bytes(unsent) == len(text.encode()) + ATTRIBUTES
