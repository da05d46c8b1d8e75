"""CSV: read back by the standard library as it was written, harmless in a spreadsheet, and cut into
parts that together are the file.
"""

import csv
import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.billing.exports.csv import (
    Words,
    answered_bytes,
    csv_line,
    fill,
    guarded,
)

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_HARMLESS = _TEXTS.filter(lambda text: guarded(text) == text)


def read_back(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@settings(max_examples=40)
@given(st.lists(_HARMLESS, min_size=1, max_size=5))
def test_every_text_is_read_back_as_it_was(texts: list[str]) -> None:
    line = csv_line([Words(text) for text in texts])
    assert line.endswith("\r\n")
    assert read_back(line) == [texts]


@settings(max_examples=40)
@given(_TEXTS)
def test_no_text_begins_a_formula(text: str) -> None:
    ((cell,),) = read_back(csv_line([Words(text)]))
    assert cell.lstrip(" ")[:1] not in set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20") or not cell
    assert cell in (text, f"'{text}")


@pytest.mark.parametrize(
    "text, cell",
    [
        ("=1+1", '"\'=1+1"'),
        ("+31 6", '"\'+31 6"'),
        ("-2", '"\'-2"'),
        ("@SUM(A1)", '"\'@SUM(A1)"'),
        ("\t=1", '"\'\t=1"'),
        ("\r=1", '"\'\r=1"'),
        ("  =1", '"\'  =1"'),
        ("\u3000=1", '"\'\u3000=1"'),
        ("\uff1d1+1", '"\'\uff1d1+1"'),
        ('=HYPERLINK("x")', '"\'=HYPERLINK(""x"")"'),
        ("a;=1", '"a;=1"'),
        ("order 7", '"order 7"'),
        ("注文", '"注文"'),
    ],
)
def test_what_a_spreadsheet_would_compute_is_text(text: str, cell: str) -> None:
    assert csv_line([Words(text)]) == f"{cell}\r\n"


def test_our_own_numbers_stay_numbers() -> None:
    assert csv_line(["-5.00", 7, None, "a,b"]) == '-5.00,7,,"a,b"\r\n'


@settings(max_examples=40)
@given(_TEXTS)
def test_a_part_is_measured_as_the_answer_carries_it(text: str) -> None:
    assert answered_bytes(text) == len(json.dumps({"body": text})) - len('{"body": ""}')


def rows(count: int, asked: list[int]) -> Iterator[tuple[str, str]]:
    for number in range(count):
        asked.append(number)
        yield f"row {number}\r\n", f"c{number}"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 7])
def test_the_parts_in_their_order_are_the_file(count: int) -> None:
    text, done = "", 0
    for _ in range(10):
        left = [(f"row {n}\r\n", f"c{n}") for n in range(done, count)]
        part = fill("head\r\n" if done == 0 else None, left, max_rows=3)
        assert len(part.text.splitlines()) <= 4
        text += part.text
        if part.following is None:
            break
        done = int(part.following[1:]) + 1
    assert text == "head\r\n" + "".join(f"row {n}\r\n" for n in range(count))


def test_a_part_never_exceeds_its_bytes_and_names_its_last_row() -> None:
    # "row 0\r\n" takes nine bytes of an answer.
    part = fill(None, rows(9, []), max_bytes=27)
    assert (part.text, part.following) == ("row 0\r\nrow 1\r\nrow 2\r\n", "c2")
    assert fill(None, rows(9, []), max_bytes=26).following == "c1"


def test_a_row_longer_than_a_part_still_goes_on() -> None:
    part = fill(None, rows(2, []), max_bytes=1)
    assert (part.text, part.following) == ("row 0\r\n", "c0")


def test_only_one_row_more_is_read_than_a_part_takes() -> None:
    asked: list[int] = []
    fill(None, rows(10_000, asked), max_rows=3)
    assert asked == [0, 1, 2, 3]
