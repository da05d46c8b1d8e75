"""Tree hashes and audit paths against the reference vectors, and against the RFC's own words."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ledger.merkle import check, leaf, node, path, root

# Google's certificate-transparency repository: cpp/merkletree/merkle_tree_test.cc, the same in
# go/merkletree/merkle_tree_test.go (leaves, rootsAtSize, testPaths; indexes there begin at 1).
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                 "606162636465666768696a6b6c6d6e6f")
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = [
    (0, 1, []),
    (0, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
    (5, 8, ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (1, 5, ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
]  # fmt: skip


def defined_root(lines: list[bytes]) -> bytes:
    """The recursion of RFC 6962 section 2.1, word for word."""
    if not lines:
        return hashlib.sha256(b"").digest()
    if len(lines) == 1:
        return hashlib.sha256(b"\x00" + lines[0]).digest()
    split = 1 << (len(lines) - 1).bit_length() - 1
    left, right = defined_root(lines[:split]), defined_root(lines[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_root_of_each_size_is_the_reference_vectors(size: int) -> None:
    assert root([leaf(line) for line in LEAVES[:size]]).hex() == ROOTS[size]


@pytest.mark.parametrize("index, size, expected", PATHS)
def test_the_audit_path_is_the_reference_vectors(
    index: int, size: int, expected: list[str]
) -> None:
    leaves = [leaf(line) for line in LEAVES[:size]]

    found = path(leaves, index)

    assert [value.hex() for value in found] == expected
    assert check(leaves[index], index, size, found, bytes.fromhex(ROOTS[size]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=3), max_size=70))
def test_the_root_is_the_one_that_the_rfc_defines(lines: list[bytes]) -> None:
    leaves = [leaf(line) for line in lines]

    assert root(leaves) == root(b"".join(leaves)) == defined_root(lines)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.data())
def test_a_path_proves_its_own_place_in_its_own_tree_only(size: int, data: st.DataObject) -> None:
    leaves = [leaf(bytes([at])) for at in range(size)]
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size + 1).filter(lambda at: at != index))
    found, top = path(leaves, index), root(leaves)

    assert check(leaves[index], index, size, found, top)
    assert not check(leaves[index], other, size, found, top)
    assert not check(leaf(b"other"), index, size, found, top)
    assert not check(leaves[index], index, size, (*found, top), top)
    assert not check(leaves[index], index, size, found[:-1], top) or not found
    assert not check(leaves[index], index, size, found, leaf(b"other"))


def test_a_path_does_not_prove_the_size_which_must_be_signed_with_the_root() -> None:
    # The limit that docs and callers rely on: the header's signature covers root and size.
    leaves = [leaf(line) for line in LEAVES]
    found, top = path(leaves, 3), root(leaves)

    assert [size for size in range(40) if check(leaves[3], 3, size, found, top)] == [5, 6, 7, 8]


def test_a_path_longer_than_the_tree_is_high_proves_nothing() -> None:
    # Without this, the right leaf of two would prove itself as the only leaf of a tree of one.
    left, right = leaf(LEAVES[0]), leaf(LEAVES[1])

    assert check(right, 1, 2, [left], root([left, right]))
    assert not check(right, 0, 1, [left], root([left, right]))


def test_a_node_never_passes_for_a_leaf() -> None:
    leaves = [leaf(line) for line in LEAVES[:4]]
    inner = node(leaves[0], leaves[1])
    forged = leaf(leaves[0] + leaves[1])

    assert check(inner, 0, 2, [node(leaves[2], leaves[3])], root(leaves))
    assert forged != inner
    assert not check(forged, 0, 2, [node(leaves[2], leaves[3])], root(leaves))


def test_what_is_no_tree_is_refused() -> None:
    with pytest.raises(IndexError):
        path([], 0)
    with pytest.raises(IndexError):
        path([leaf(b"")], 1)
    with pytest.raises(IndexError):
        path([leaf(b"")], -1)
    with pytest.raises(ValueError, match="32 bytes"):
        root(b"short")
    assert not check(leaf(b""), 0, 0, [], root([]))
    assert not check(leaf(b""), -1, 1, [], leaf(b""))
    assert not check(b"", 0, 1, [], b"")
