"""A proof that an entry stands in the log book: made from a segment, verified by anybody offline.

docs/books.md, "A proof". It is one object of canonical JSON, so that each of its bits means
something: whatever is changed in it is either refused as malformed or does not verify.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from orion.errors import OrionError
from orion.ledger.book import (
    BookLine,
    MalformedEntryLine,
    directory_row,
    read_directory_row,
    read_line,
)
from orion.ledger.merkle import HASH_BYTES, MAX_PATH, check, leaf, path
from orion.ledger.model import AccountKey
from orion.ledger.segment_header import (
    MalformedSegmentHeader,
    SegmentHeader,
    header_digest,
    read_header,
)
from orion.ledger.signature import fingerprint, is_signed
from orion.records import MalformedJson, canonical_json, parse_object

VERSION = 1
MAX_PROOF_BYTES = 16_000_000  # A header with 30,000 accounts has about 4 MB; escaped, half more.
_FIELDS = frozenset(
    {"v", "line", "accounts", "index", "size", "path", "header", "signature", "public_key"}
)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


class MalformedProof(OrionError):
    """Bytes that are no proof as `orion books prove` writes one; `field` names the part."""

    code = "malformed_proof"


class Refused(StrEnum):
    """What in a well-formed proof does not prove anything, in the order in which it is tried."""

    ACCOUNTS_DIFFER = "accounts_differ"  # Not the accounts of the line, or not in the header.
    PLACE_DIFFERS = "place_differs"  # Index, size, shard or number are not of this segment.
    ROOT_DIFFERS = "root_differs"
    OTHER_KEY = "other_key"  # Signed by another key than the one asked for.
    SIGNATURE_INVALID = "signature_invalid"


class ProofRefused(OrionError):
    """The proof does not prove its entry; `reason` is one of Refused."""

    code = "proof_refused"


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry's line at `index` of `size` in the segment of this header. Hashes have 32 bytes,
    `signature` is DER, `public_key` a SubjectPublicKeyInfo; `accounts` by id, rising.
    """

    line: bytes
    accounts: tuple[AccountKey, ...]
    index: int
    size: int
    path: tuple[bytes, ...]
    header: bytes
    signature: bytes
    public_key: bytes

    def body(self) -> dict[str, object]:
        """The proof as the object of its JSON."""
        return {
            "v": VERSION,
            "line": self.line.decode(),
            "accounts": [directory_row(account) for account in self.accounts],
            "index": self.index,
            "size": self.size,
            "path": [value.hex() for value in self.path],
            "header": self.header.decode(),
            "signature": base64.b64encode(self.signature).decode(),
            "public_key": base64.b64encode(self.public_key).decode(),
        }

    def text(self) -> bytes:
        """Canonical JSON: the one way in which a proof is written."""
        return canonical_json(self.body())


@dataclass(frozen=True, slots=True)
class Proven:
    """What a verified proof says. `key` is the fingerprint of the key that signed; unless it was
    asked for, it must still be compared with the published one.
    """

    entry: BookLine
    accounts: Mapping[bytes, AccountKey]
    header: SegmentHeader
    key: str
    key_was_asked_for: bool


def make_proof(
    header: bytes, line: bytes, leaves: bytes, index: int, *, signature: bytes, public_key: bytes
) -> Proof:
    """The proof of the entry at `index` (from 0) of a segment that was read and checked."""
    known = read_header(header).accounts
    named = sorted(read_line(line).accounts())
    return Proof(
        line=line,
        accounts=tuple(known[account] for account in named),
        index=index,
        size=len(leaves) // HASH_BYTES,
        path=path(leaves, index),
        header=header,
        signature=signature,
        public_key=public_key,
    )


def read_proof(text: bytes) -> Proof:
    """The proof that is written as `text` (a line end may follow). Raises MalformedProof."""
    text = text.removesuffix(b"\n")
    if len(text) > MAX_PROOF_BYTES:
        raise MalformedProof("no proof is so large", field="proof")
    try:
        body = parse_object(text)
    except MalformedJson as exc:
        raise MalformedProof(f"not a proof: {exc.detail}", field="proof") from exc
    if body.keys() != _FIELDS or body["v"] != VERSION:
        raise MalformedProof("a proof of version 1 has other fields", field="proof")
    proof = Proof(
        line=_text(body, "line").encode(),
        accounts=_accounts(body["accounts"]),
        index=_number(body, "index"),
        size=_number(body, "size"),
        path=_path(body["path"]),
        header=_text(body, "header").encode(),
        signature=_base64(body, "signature"),
        public_key=_base64(body, "public_key"),
    )
    if proof.text() != text:
        raise MalformedProof("the proof is not canonical JSON", field="proof")
    return proof


def verify(proof: Proof, public_key: bytes | None = None) -> Proven:
    """What `proof` proves, by `public_key` (SubjectPublicKeyInfo) where one is given.

    Raises ProofRefused, or MalformedProof where its line or its header are none.
    """
    try:
        entry, header = read_line(proof.line), read_header(proof.header)
    except (MalformedEntryLine, MalformedSegmentHeader) as exc:
        raise MalformedProof(exc.detail, field=str(exc.fields.get("field"))) from exc
    if tuple(sorted(entry.accounts())) != tuple(account.id for account in proof.accounts) or any(
        header.accounts.get(account.id) != account for account in proof.accounts
    ):
        raise _refused("the accounts are not the entry's", Refused.ACCOUNTS_DIFFER)
    fits = (
        entry.shard == header.shard
        and header.first_number <= entry.number <= header.last_number
        and proof.size == header.entries
        and 0 <= proof.index < proof.size
    )
    if not fits:
        raise _refused("the entry has no such place in this segment", Refused.PLACE_DIFFERS)
    if not check(leaf(proof.line), proof.index, proof.size, proof.path, header.root):
        raise _refused("the path does not lead to the signed root", Refused.ROOT_DIFFERS)
    if public_key is not None and public_key != proof.public_key:
        raise _refused("another key than the given one", Refused.OTHER_KEY)
    if not is_signed(proof.public_key, header_digest(proof.header), proof.signature):
        raise _refused("the header is not signed by this key", Refused.SIGNATURE_INVALID)
    return Proven(
        entry,
        {account.id: account for account in proof.accounts},
        header,
        fingerprint(proof.public_key),
        key_was_asked_for=public_key is not None,
    )


def _refused(detail: str, reason: Refused) -> ProofRefused:
    return ProofRefused(detail, reason=reason.value)


def _accounts(value: object) -> tuple[AccountKey, ...]:
    if not isinstance(value, list) or len(value) > 3:
        raise MalformedProof("an entry names two or three accounts", field="accounts")
    try:
        return tuple(read_directory_row(row)[1] for row in value)
    except MalformedEntryLine as exc:
        raise MalformedProof(exc.detail, field="accounts") from exc


def _path(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > MAX_PATH:
        raise MalformedProof(f"a path has at most {MAX_PATH} hashes", field="path")
    if not all(isinstance(row, str) and _HASH.fullmatch(row) for row in value):
        raise MalformedProof(f"a path has hashes of {HASH_BYTES} bytes", field="path")
    return tuple(bytes.fromhex(row) for row in cast(list[str], value))


def _text(body: Mapping[str, object], field: str) -> str:
    value = body[field]
    if not isinstance(value, str):
        raise MalformedProof(f"{field} is text", field=field)
    return value


def _number(body: Mapping[str, object], field: str) -> int:
    value = body[field]
    if type(value) is not int:
        raise MalformedProof(f"{field} is a whole number", field=field)
    return value


def _base64(body: Mapping[str, object], field: str) -> bytes:
    try:
        return base64.b64decode(_text(body, field), validate=True)
    except binascii.Error as exc:
        raise MalformedProof(f"{field} is not base64", field=field) from exc
