"""Blocks against real mainnet blocks, read beside us by Bitcoin Core's code and rust-bitcoin.

Cross-checked independently: hash, transaction ids, outputs and scripts by Bitcoin Core's kernel
(py-bitcoinkernel), which parses the same file; addresses by rust-bitcoin (bdkpython); the header by
its own proof of work; ids by the header's Merkle root; witness ids by the commitment in the
coinbase (BIP-141).
"""

from functools import cache
from pathlib import Path

import bdkpython as bdk
import pbk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.bitcoin import decode_block
from orion.chains.bitcoin.hashing import display_hash, merkle_root, sha256d
from orion.chains.bitcoin.wire import (
    BLOCK_BYTES_MAX,
    BlockHeader,
    Transaction,
    parse_block,
    parse_header,
    parse_transaction,
)
from orion.chains.errors import MalformedBlock, UnknownNetwork

BLOCKS = Path(__file__).parents[1] / "data/blocks"
HEIGHTS = (426_884, 928_848)
HASHES = {
    426_884: "00000000000000000431d0ead6e0bd9f90ff0d469e9b05d51e3d04971f472973",
    928_848: "00000000000001dc1c2cbd9c2419e9fd396449be12176b3b7c78c2784eb2f5e7",
}


# BIP-143, "Native P2WPKH", the signed transaction.
SEGWIT_TRANSACTION = bytes.fromhex(
    "01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000494830"
    "450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b194ba3f928"
    "1a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d279655c3aa89e81"
    "5b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f6"
    "6f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988"
    "ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a0220573a954c"
    "4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee0121025476c2e83188368da1ff3e292e7aca"
    "fcdb3566bb0ad253f62fc70f07aeee635711000000"
)


@cache
def raw_block(height: int) -> bytes:
    return (BLOCKS / f"bitcoin-{height}.raw").read_bytes()


@cache
def parsed(height: int) -> tuple[BlockHeader, tuple[Transaction, ...]]:
    return parse_block(raw_block(height))


@cache
def judged(height: int) -> pbk.Block:
    return pbk.Block(raw_block(height))


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_real_block_has_its_known_hash_and_its_proof_of_work(height: int) -> None:
    header = parsed(height)[0]
    exponent, mantissa = header.bits >> 24, header.bits & 0xFFFFFF
    assert int.from_bytes(header.hash, "little") <= mantissa << 8 * (exponent - 3)
    assert decode_block(raw_block(height), height, "mainnet").hash == HASHES[height]


@pytest.mark.parametrize("height", HEIGHTS)
def test_the_ids_of_a_real_block_make_its_merkle_root(height: int) -> None:
    header, transactions = parsed(height)
    assert merkle_root([t.txid for t in transactions]) == header.merkle_root


def test_the_witness_ids_of_a_real_block_make_the_commitment_of_its_coinbase() -> None:
    _, transactions = parsed(928_848)
    coinbase = transactions[0]
    root = merkle_root([bytes(32), *(t.wtxid for t in transactions[1:])])
    commitment = b"\x6a\x24\xaa\x21\xa9\xed" + sha256d(root + coinbase.witnesses[0][0])
    assert commitment in [output.script for output in coinbase.outputs]


@pytest.mark.parametrize("height", HEIGHTS)
def test_every_transaction_of_a_real_block_is_the_one_that_bitcoin_core_reads(height: int) -> None:
    header, transactions = parsed(height)
    kernel = judged(height)
    assert display_hash(header.hash) == str(kernel.block_hash)
    assert [t.display_id for t in transactions] == [str(t.txid) for t in kernel.transactions]
    for ours, theirs in zip(transactions, kernel.transactions, strict=True):
        assert [(o.value_sat, o.script) for o in ours.outputs] == [
            (o.amount, bytes(o.script_pubkey)) for o in theirs.outputs
        ]
        assert ours.lock_time == theirs.locktime
        assert len(ours.inputs) == len(theirs.inputs)


@pytest.mark.parametrize("height,count", [(426_884, 779), (928_848, 7372)])
def test_every_payment_of_a_real_block_is_the_one_that_others_see(height: int, count: int) -> None:
    block = decode_block(raw_block(height), height, "mainnet")
    assert len(block.transfers) == count
    found = {(t.txid, t.position): (t.recipient, t.units) for t in block.transfers}
    assert len(found) == count
    expected = {}
    for transaction in judged(height).transactions:
        for index, output in enumerate(transaction.outputs):
            script = bdk.Script(bytes(output.script_pubkey))
            try:
                address = bdk.Address.from_script(script, bdk.Network.BITCOIN)
            except bdk.FromScriptError:
                continue
            if output.amount:
                key = (str(transaction.txid), f"out:{index}")
                expected[key] = (str(address), output.amount)
    # Pay-to-anchor has an address in rust-bitcoin. Anybody may spend it, so it pays nobody.
    anchors = {key for key, (to, _) in expected.items() if to.startswith("bc1pfees")}
    assert {key: value for key, value in expected.items() if key not in anchors} == found


def test_a_transaction_with_a_witness_has_the_ids_that_rust_bitcoin_computes() -> None:
    raw = SEGWIT_TRANSACTION
    ours, theirs = parse_transaction(raw), bdk.Transaction(raw)
    assert ours.display_id == str(theirs.compute_txid())
    assert display_hash(ours.wtxid) == str(theirs.compute_wtxid())
    assert [o.value_sat for o in ours.outputs] == [o.value.to_sat() for o in theirs.output()]
    assert ours.lock_time == theirs.lock_time()


def test_a_block_whose_transactions_are_not_its_headers_is_refused() -> None:
    raw = bytearray(raw_block(426_884))
    raw[-1] ^= 1  # The last lock time.
    with pytest.raises(MalformedBlock, match="not those of the header"):
        decode_block(bytes(raw), 426_884, "mainnet")


def test_a_block_that_repeats_its_last_transactions_under_the_same_root_is_refused() -> None:
    header, transactions = parsed(426_884)
    ids = [t.txid for t in transactions]
    if len(ids) % 2 == 0:
        ids = ids[:-1]
    assert merkle_root(ids) == merkle_root([*ids, ids[-1]])  # The hazard, CVE-2012-2459.
    raw = SEGWIT_TRANSACTION
    twice = parse_transaction(raw)
    root = merkle_root([twice.txid, twice.txid])
    forged = raw_block(426_884)[:36] + root + raw_block(426_884)[68:80] + b"\x02" + raw + raw
    assert parse_header(forged[:80]).merkle_root == root
    with pytest.raises(MalformedBlock, match="twice"):
        decode_block(forged, 1, "mainnet")
    assert header.time > 0


@pytest.mark.parametrize("extra", [b"\x00", b"\xff" * 40])
def test_bytes_after_the_last_transaction_are_refused(extra: bytes) -> None:
    with pytest.raises(MalformedBlock, match="left over"):
        decode_block(raw_block(426_884) + extra, 426_884, "mainnet")


def test_more_bytes_than_any_block_has_are_refused() -> None:
    with pytest.raises(MalformedBlock, match="larger"):
        decode_block(bytes(BLOCK_BYTES_MAX + 1), 1, "mainnet")


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UnknownNetwork):
        decode_block(raw_block(426_884), 1, "simnet")


@given(cut=st.integers(0, 996_443))
@settings(max_examples=40, deadline=None)
def test_a_block_cut_anywhere_is_refused_by_type(cut: int) -> None:
    with pytest.raises(MalformedBlock):
        decode_block(raw_block(426_884)[:cut], 426_884, "mainnet")


@given(raw=st.binary(max_size=600))
@settings(deadline=None)
def test_any_bytes_are_a_transaction_or_a_typed_refusal(raw: bytes) -> None:
    try:
        parse_transaction(raw)
    except MalformedBlock:
        return


@given(place=st.integers(0), value=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_transaction_with_any_byte_changed_is_another_transaction_or_a_typed_refusal(
    place: int, value: int
) -> None:
    raw = bytearray(SEGWIT_TRANSACTION)
    before = parse_transaction(bytes(raw)).wtxid
    place %= len(raw)
    same = raw[place] == value
    raw[place] = value
    try:
        after = parse_transaction(bytes(raw)).wtxid
    except MalformedBlock:
        return
    assert (after == before) == same


@pytest.mark.parametrize(
    "body,why",
    [
        (b"\xfd\x01\x00", "shortest form"),  # 1 in three bytes
        (b"\xff" + b"\xff" * 8, "more items"),
        (b"\x00\x00", "without inputs"),
    ],
)
def test_a_number_of_inputs_that_cannot_be_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(MalformedBlock, match=why):
        parse_transaction(b"\x02\x00\x00\x00" + body + bytes(80))
