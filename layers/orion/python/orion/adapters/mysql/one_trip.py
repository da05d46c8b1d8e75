"""Several small reads in one round trip to the database: each row comes as its question's number
and a JSON array of its columns.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.adapters.mysql.session import Cursor

Row = tuple[object, ...]


class Columns:
    """Columns by their SQL, and what each holds: bytes (BINARY, VARBINARY, BLOB), datetime
    (DATETIME), int (any exact number) or str. JSON knows the last only.
    """

    def __init__(self, kinds: Mapping[str, type]) -> None:
        self.names = tuple(kinds)
        self.kinds = tuple(kinds.values())
        self.array = f"JSON_ARRAY({', '.join(map(_sql, kinds.items()))})"


@dataclass(frozen=True, slots=True)
class Question:
    """`columns` of what `rest` says from FROM on. Rows come in no order, so it asks for none."""

    columns: Columns
    rest: str
    values: tuple[object, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """Two questions with one key are one."""
        return self.rest, *self.values


def ask(cursor: Cursor, questions: Sequence[Question]) -> Sequence[Sequence[Row]]:
    """The rows of each question, as the client gives them when they are asked one by one."""
    cursor.execute(
        " UNION ALL ".join(
            f"SELECT {number}, {each.columns.array} {each.rest}"
            for number, each in enumerate(questions)
        ),
        [value for each in questions for value in each.values],
    )
    found: list[list[Row]] = [[] for _ in questions]
    for number, array in cursor.fetchall():
        found[number].append(
            tuple(
                None if value is None else _read(value, kind)
                for value, kind in zip(
                    json.loads(array), questions[number].columns.kinds, strict=True
                )
            )
        )
    return found


def _sql(column: tuple[str, type]) -> str:
    name, kind = column
    if kind is bytes:
        return f"HEX({name})"
    return name if kind is str else f"CAST({name} AS CHAR)"


def _read(value: str, kind: type) -> object:
    if kind is bytes:
        return bytes.fromhex(value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    return int(value) if kind is int else value
