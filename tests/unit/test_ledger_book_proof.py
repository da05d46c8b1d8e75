"""A proof of an entry: it verifies as it stands, and not with a single bit changed."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ledger.proof import (
    MalformedProof,
    Proof,
    ProofRefused,
    make_proof,
    read_proof,
    verify,
)
from orion.ledger.segment_header import FIRST_PREVIOUS
from orion.ledger.signature import fingerprint, is_signed
from orion.log.ledger_book.model import Segment, drafted, opened, read_trailer, sealed
from orion.records import canonical_json
from tests.unit.ledger_book_records import STAGE, new_key, posted, transfer_id

KEY, OTHER_KEY = new_key(), new_key(8)


def segment(sizes: list[int], first: int = 1) -> Segment:
    records = [posted(first + at, entries=size) for at, size in enumerate(sizes)]
    draft = drafted(STAGE, FIRST_PREVIOUS, records)
    return opened(sealed(draft, KEY.public, KEY.sign(draft.digest)))


def proof_of(kept: Segment, index: int) -> Proof:
    return make_proof(
        kept.header_line,
        kept.lines[index],
        kept.leaves,
        index,
        signature=read_trailer(kept.trailer_line).signature,
        public_key=KEY.public,
    )


SEGMENT = segment([3, 1, 4], first=17)
PROOF = proof_of(SEGMENT, 5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=9), st.integers(1, 10**11))
def test_every_entry_of_a_segment_proves(sizes: list[int], first: int) -> None:
    kept = segment(sizes, first)
    places = [(first + at, place) for at, size in enumerate(sizes) for place in range(size)]

    for index, (number, position) in enumerate(places):
        proven = verify(read_proof(proof_of(kept, index).text()), KEY.public)
        assert proven.entry.id == transfer_id(0, number, position)
        assert (proven.entry.number, proven.entry.position) == (number, position)
        assert set(proven.accounts) == proven.entry.accounts()
        assert (proven.key, proven.key_was_asked_for) == (fingerprint(KEY.public), True)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_bit_of_a_proof_can_be_changed(data: st.DataObject) -> None:
    text = bytearray(PROOF.text())
    text[data.draw(st.integers(0, len(text) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises((MalformedProof, ProofRefused)):
        verify(read_proof(bytes(text)), KEY.public)
    with pytest.raises((MalformedProof, ProofRefused)):
        verify(read_proof(bytes(text)))


def test_without_a_key_to_compare_the_signers_fingerprint_is_told_as_unproven() -> None:
    proven = verify(PROOF)

    assert (proven.key, proven.key_was_asked_for) == (fingerprint(KEY.public), False)


OTHER = proof_of(SEGMENT, 6)
ELSEWHERE = proof_of(segment([3, 1, 4], first=18), 5)
REFUSALS: list[tuple[str, Proof, str]] = [
    ("accounts of another entry", replace(PROOF, accounts=OTHER.accounts[:1]), "accounts_differ"),
    ("another line", replace(PROOF, line=OTHER.line, accounts=OTHER.accounts), "root_differs"),
    ("another index", replace(PROOF, index=4), "root_differs"),
    ("an index beyond", replace(PROOF, index=8), "place_differs"),
    ("an index before", replace(PROOF, index=-1), "place_differs"),
    ("another size", replace(PROOF, size=7), "place_differs"),
    ("another path", replace(PROOF, path=OTHER.path), "root_differs"),
    ("a shorter path", replace(PROOF, path=PROOF.path[:-1]), "root_differs"),
    ("a number that the header has not",
     replace(PROOF, line=PROOF.line.replace(b'"number":19', b'"number":99')), "place_differs"),
    ("a shard that the header has not",
     replace(PROOF, line=PROOF.line.replace(b'"shard":0', b'"shard":1')), "place_differs"),
    ("another segment's header", replace(PROOF, header=ELSEWHERE.header), "root_differs"),
    ("another segment's signature", replace(PROOF, signature=ELSEWHERE.signature),
     "signature_invalid"),
    ("a signature by another key",
     replace(PROOF, signature=OTHER_KEY.sign(b"\0" * 32), public_key=KEY.public),
     "signature_invalid"),
    ("no signature", replace(PROOF, signature=b""), "signature_invalid"),
]  # fmt: skip


@pytest.mark.parametrize("name, proof, reason", REFUSALS, ids=[row[0] for row in REFUSALS])
def test_a_forged_proof_is_refused_by_name(name: str, proof: Proof, reason: str) -> None:
    with pytest.raises(ProofRefused) as refused:
        verify(proof, KEY.public)
    assert refused.value.fields == {"reason": reason}


def test_a_proof_signed_by_a_key_of_its_own_needs_the_published_one_to_be_seen_through() -> None:
    own = drafted(STAGE, FIRST_PREVIOUS, [posted(1)])
    forged = make_proof(
        own.header_line,
        own.lines[0],
        opened(sealed(own, OTHER_KEY.public, b"")).leaves,
        0,
        signature=OTHER_KEY.sign(own.digest),
        public_key=OTHER_KEY.public,
    )

    assert verify(forged).key == fingerprint(OTHER_KEY.public)
    with pytest.raises(ProofRefused) as refused:
        verify(forged, KEY.public)
    assert refused.value.fields == {"reason": "other_key"}


def test_an_account_whose_name_was_changed_is_malformed() -> None:
    text = PROOF.text().replace(b'"system:bitcoin","custody"', b'"system:bitcoim","custody"')
    assert text != PROOF.text()
    with pytest.raises(MalformedProof):
        verify(read_proof(text))


SPELLINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("spaces", lambda text: json.dumps(json.loads(text)).encode()),
    ("order", lambda text: b'{"v":1,' + text[1:].replace(b',"v":1}', b"}")),
    ("another version", lambda text: text.replace(b'"v":1}', b'"v":2}')),
    ("a name more", lambda text: text.replace(b'"v":1}', b'"v":1,"w":1}')),
    ("cut off", lambda text: text[:-1]),
    ("nothing", lambda text: b""),
    ("a list", lambda text: b"[]"),
    ("size as text", lambda text: text.replace(b'"size":8', b'"size":"8"')),
    ("a path of numbers", lambda text: text.replace(b'"path":["', b'"path":[1,"')),
    ("a long path", lambda text: text.replace(b'"path":[', b'"path":[' + b'"00",' * 65)),
    ("no base64", lambda text: text.replace(b'"signature":"', b'"signature":"*')),
    ("four accounts", lambda text: text.replace(b'"accounts":[', b'"accounts":[[],[],[],[],')),
]


@pytest.mark.parametrize("name, spell", SPELLINGS, ids=[row[0] for row in SPELLINGS])
def test_a_proof_is_read_in_its_one_spelling_only(
    name: str, spell: Callable[[bytes], bytes]
) -> None:
    text = PROOF.text()
    assert read_proof(text) == read_proof(text + b"\n") == PROOF
    assert canonical_json(PROOF.body()) == text
    with pytest.raises(MalformedProof):
        verify(read_proof(spell(text)))


def test_what_is_no_key_on_p256_signs_nothing() -> None:
    digest = b"\x01" * 32
    signature = KEY.sign(digest)

    assert is_signed(KEY.public, digest, signature)
    assert not is_signed(KEY.public, digest[:31], signature)
    assert not is_signed(KEY.public, digest, signature + b"\0" * 20)
    assert not is_signed(b"", digest, signature)
    assert not is_signed(KEY.public[:-1], digest, signature)
    # Ed25519 (RFC 8410), whose keys load and sign in another way.
    assert not is_signed(
        bytes.fromhex("302a300506032b6570032100") + b"\x02" * 32, digest, signature
    )
