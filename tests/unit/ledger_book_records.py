"""Posted records for tests of the log book, and a key on P-256 to sign their segments with."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from orion.ids import fact_id
from orion.ledger.model import AccountKey, Code, Entry, Kind, Purpose, Transfer, clearing
from orion.ledger.segment_header import FIRST_PREVIOUS
from orion.ledger.signature import fingerprint
from orion.ledger.transfer_record import PostedRecord, posted_body
from orion.log.ledger_book.model import cut, drafted, sealed
from orion.records import canonical_json

STAGE = "test"
MOMENT = datetime(2026, 11, 23, 10, tzinfo=UTC)
CUSTODY = AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin")


def merchant(number: int, purpose: Purpose = Purpose.SETTLING) -> AccountKey:
    return AccountKey(f"merchant:{number:032x}", purpose, "BTC.bitcoin")


def transfer_id(shard: int, number: int, position: int) -> bytes:
    return fact_id("test", shard, number, position)


def entry(shard: int, number: int, position: int) -> Entry:
    """A deposit's credit; every third entry moves the clearing account for another shard."""
    cause = canonical_json(
        {"type": "deposit", "deposit_id": f"{number:032x}", "credit_epoch": position}
    )
    elsewhere = (number + position) % 3 == 2
    transfer = Transfer(
        id=transfer_id(shard, number, position),
        kind=Kind.DIRECT,
        code=Code.DEPOSIT_CREDIT,
        units=41_234 + position,
        debit=clearing(shard, "BTC.bitcoin") if elsewhere else CUSTODY,
        credit=merchant(number % 5),
        cause=cause,
        trace_id=bytes([number % 256]) * 16,
    )
    return Entry(transfer, transfer.digest, CUSTODY if elsewhere else None)


def posted(number: int, entries: int = 2, shard: int = 0) -> PostedRecord:
    """Record `number` of a shard, posted a second after the one before it."""
    return PostedRecord(
        shard,
        number,
        bytes(16),
        MOMENT + timedelta(seconds=number),
        tuple(entry(shard, number, position) for position in range(entries)),
    )


def value(record: PostedRecord) -> bytes:
    """The record as it stands on `ledger.posted`."""
    return canonical_json(posted_body(record))


@dataclass(frozen=True)
class Key:
    """A key pair on P-256."""

    private: ec.EllipticCurvePrivateKey
    public: bytes

    def sign(self, digest: bytes) -> bytes:
        return self.private.sign(digest, ec.ECDSA(Prehashed(SHA256())))

    def known(self, name: str) -> bytes | None:
        return self.public if name == fingerprint(self.public) else None


def new_key(secret: int = 7) -> Key:
    """The key of a number: the same in every run."""
    private = ec.derive_private_key(secret, ec.SECP256R1())
    form = PublicFormat.SubjectPublicKeyInfo
    return Key(private, private.public_key().public_bytes(Encoding.DER, form))


def sealed_segments(records: list[PostedRecord], key: Key) -> Iterator[tuple[int, bytes]]:
    """First number and body of each segment of one shard's records."""
    previous = FIRST_PREVIOUS
    for run in cut(records):
        draft = drafted(STAGE, previous, run)
        yield draft.header.first_number, sealed(draft, key.public, key.sign(draft.digest))
        previous = draft.digest
