"""Quick reading of a `ledger.transfers` record in its canonical form, which is what outboxes send.

One expression says how such a transfer looks, byte for byte: which names, in which order, no space,
no escape, no fraction, no bracket more. Whatever it matches is therefore JSON that the strict
reader would read to the same transfer, with no name twice (docs/contracts.md, "Transfer record").
What it does not match is not refused but read strictly: this file never says what is malformed.
"""

import re
from functools import lru_cache

from orion.ledger.codes import SECOND_PHASE, Code, Kind, Purpose
from orion.ledger.model import AccountKey, Transfer, account_key
from orion.ledger.record_parts import MAX_CAUSE_BYTES, OWNER
from orion.money import ASSETS, MAX_UNITS

_HEX_ID = "([0-9a-f]{32})"
_ACCOUNT = r'(\{"owner":"[a-z0-9:-]{1,64}","purpose":"[a-z_]{1,32}"\})'
# An object of texts without escapes and of whole numbers that no other digits could write.
_VALUE = r'(?:"[^"\\\x00-\x1f]*"|0|-?[1-9][0-9]{0,18})'
# That of a deposit first, whose names are seen to be in order.
_CAUSE = (
    rf'(?:(\{{"credit_epoch":{_VALUE},"deposit_id":{_VALUE},"type":{_VALUE}\}})'
    rf'|(\{{"[a-z0-9_]+":{_VALUE}(?:,"[a-z0-9_]+":{_VALUE})*\}}))'
)
_HEAD = re.compile(rf'\{{"trace_id":"{_HEX_ID}","transfers":\[')
_TRANSFER = re.compile(
    rf'\{{"asset":"([A-Za-z0-9.]{{1,32}})","cause":{_CAUSE},"code":"([a-z_]{{1,32}})"'
    rf',"credit":{_ACCOUNT},"debit":{_ACCOUNT},"id":"{_HEX_ID}","kind":"([a-z]{{1,16}})"'
    rf',"linked":(true|false)(?:,"pending_id":"{_HEX_ID}")?,"units":"([1-9][0-9]{{0,38}})"\}}'
    r'(,|\],"v":1\}\Z)'
)
_NAME = re.compile(r'"([a-z0-9_]+)":')
_ACCOUNT_PARTS = re.compile(r'\{"owner":"([^"]*)","purpose":"([^"]*)"\}')
# A leg is checked against its cause, which is no object of texts and numbers anyway.
_CODES = {code.value: code for code in Code if code is not Code.LEG}
_FIRST_KINDS = {kind.value: kind for kind in Kind if kind not in SECOND_PHASE}
_SECOND_KINDS = {kind.value: kind for kind in SECOND_PHASE}
_REMEMBERED = 65_536
_MAX_DIGITS = len(str(MAX_UNITS))


class _NotCanonical(Exception):
    """Something that only the strict reader may judge."""


def read_canonical(value: bytes, limit: int) -> tuple[Transfer, ...] | None:
    """The transfers of a record of at most `limit`, or None where the strict reader must look."""
    try:
        text = value.decode()
        head = _HEAD.match(text)
        return None if head is None else _transfers(text, head, limit)
    except (UnicodeDecodeError, _NotCanonical):
        return None


def _transfers(text: str, head: re.Match[str], limit: int) -> tuple[Transfer, ...]:
    trace_id = bytes.fromhex(head[1])
    transfers: list[Transfer] = []
    match, fromhex = _TRANSFER.match, bytes.fromhex
    # As the class would, without its own Python function.
    make = tuple.__new__
    place, more = head.end(), ","
    while more == ",":
        found = match(text, place)
        if found is None:
            raise _NotCanonical
        place = found.end()
        (
            asset, cause, other_cause, code, credit, debit, identity, kind, linked, pending_id,
            units, more,
        ) = found.groups()  # fmt: skip
        kinds = _FIRST_KINDS if pending_id is None else _SECOND_KINDS
        if asset not in ASSETS or code not in _CODES or kind not in kinds:
            raise _NotCanonical
        if cause is None:
            cause = other_cause
            if not _sorted(*_NAME.findall(cause)):
                raise _NotCanonical
        cause_bytes = cause.encode()
        amount = int(units)
        if len(cause_bytes) > MAX_CAUSE_BYTES or amount > MAX_UNITS:
            raise _NotCanonical
        transfers.append(
            make(
                Transfer,
                (
                    fromhex(identity),
                    kinds[kind],
                    _CODES[code],
                    amount,
                    _account(debit, asset),
                    _account(credit, asset),
                    cause_bytes,
                    trace_id,
                    linked == "true",
                    None if pending_id is None else fromhex(pending_id),
                ),
            )
        )
    if len(transfers) > limit:
        raise _NotCanonical
    return tuple(transfers)


@lru_cache(maxsize=_REMEMBERED)
def _sorted(*names: str) -> bool:
    return list(names) == sorted(set(names))


@lru_cache(maxsize=_REMEMBERED)
def _account(text: str, asset: str) -> AccountKey:
    found = _ACCOUNT_PARTS.fullmatch(text)
    if found is None or not OWNER.fullmatch(found[1]) or found[2] not in _PURPOSES:
        raise _NotCanonical
    return account_key(found[1], _PURPOSES[found[2]], asset)


_PURPOSES = {purpose.value: purpose for purpose in Purpose}
