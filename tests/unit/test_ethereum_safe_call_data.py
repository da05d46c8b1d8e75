"""Call data in Solidity's ABI: one form, that of eth_abi."""

import pytest
from eth_abi.abi import encode as abi_encode
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.ethereum.abi import Function, MalformedCall
from orion.chains.ethereum.safe_contracts import EXECUTE, SETUP, SWAP_OWNER, TRANSFER

ADDRESS = b"\xc0" * 20


@settings(max_examples=20)
@given(
    st.lists(st.binary(min_size=20, max_size=20), max_size=5),
    st.integers(0, 2**256 - 1),
    st.binary(max_size=70),
    st.binary(min_size=20, max_size=20),
)
def test_call_data_is_that_of_eth_abi(
    owners: list[bytes], number: int, data: bytes, address: bytes
) -> None:
    text = "0x" + address.hex()
    values = (tuple(owners), number, address, data, address, address, number, address)
    theirs = (["0x" + each.hex() for each in owners], number, text, data, text, text, number, text)
    assert SETUP.call(*values)[4:] == abi_encode(SETUP.types, theirs)
    assert SETUP.read(SETUP.call(*values)) == values
    call = (address, number, data, 1, number, 0, 0, address, address, data)
    named = (text, number, data, 1, number, 0, 0, text, text, data)
    assert EXECUTE.call(*call)[4:] == abi_encode(EXECUTE.types, named)
    assert EXECUTE.read(EXECUTE.call(*call)) == call


@pytest.mark.parametrize("size", range(8))
def test_call_data_cut_anywhere_is_refused(size: int) -> None:
    for function, call in (
        (SWAP_OWNER, SWAP_OWNER.call(ADDRESS, ADDRESS, ADDRESS)),
        (TRANSFER, TRANSFER.call(ADDRESS, 9)),
    ):
        with pytest.raises(MalformedCall):
            function.read(call[: len(call) * size // 8])


def test_values_that_their_types_do_not_hold_are_refused() -> None:
    for values in ((ADDRESS, 2**256), (b"\x00", 1), (1, 1), (b"", b"")):
        with pytest.raises(MalformedCall):
            TRANSFER.call(*values)
    with pytest.raises(MalformedCall):
        TRANSFER.call(ADDRESS)
    with pytest.raises(MalformedCall):
        Function("operation", ("uint8",)).call(256)
