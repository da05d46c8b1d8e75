"""The canonical line of an entry and its leaf, made by MySQL itself (docs/books.md).

SQL text over one row `t` of `orion_ledger.transfer`; orion.ledger.book and orion.ledger.merkle say
what both are, and tests hold them equal. A value of another kind than the ledger writes gives
another line, never an error.
"""

from collections.abc import Iterable


def _hex(column: str) -> str:
    # HEX gives text, which LOWER can turn; of bytes it would leave capitals.
    return f"LOWER(HEX(t.{column}))"


def _hex_or_null(column: str) -> str:
    return f"IF(t.{column} IS NULL, 'null', CONCAT('\"', {_hex(column)}, '\"'))"


_PARTS: Iterable[str] = (
    "'{\"cause\":'",
    "t.cause",
    '\',"code":"\'',
    "t.code",
    '\'","counterpart":\'',
    _hex_or_null("counterpart"),
    '\',"credit":"\'',
    _hex("credit_account"),
    '\'","debit":"\'',
    _hex("debit_account"),
    '\'","digest":"\'',
    _hex("digest"),
    '\'","id":"\'',
    _hex("id"),
    '\'","kind":"\'',
    "t.kind",
    '\'","linked":\'',
    "IF(t.linked = 1, 'true', IF(t.linked = 0, 'false', t.linked))",
    "',\"number\":'",
    "t.number",
    "',\"pending_id\":'",
    _hex_or_null("pending_id"),
    "',\"position\":'",
    "t.position",
    '\',"posted_at":"\'',
    # A percent sign stands twice, because statements with parameters take it for one.
    "DATE_FORMAT(t.posted_at, '%%Y-%%m-%%dT%%H:%%i:%%s.%%fZ')",
    '\'","shard":\'',
    "t.shard_no",
    '\',"trace_id":"\'',
    _hex("trace_id"),
    '\'","units":"\'',
    "t.units",
    '\'","v":1}\'',
)
ENTRY_LINE_SQL = f"CONCAT({', '.join(_PARTS)})"
# 32 bytes. The cause goes in as it stands: being binary, it makes the whole line bytes.
LEAF_SQL = f"UNHEX(SHA2(CONCAT(x'00', {', '.join(_PARTS)}), 256))"
# Of one GROUP_CONCAT: the leaves of 65,536 entries, more than a record's positions can number.
GROUP_BYTES = 65_536 * 32
