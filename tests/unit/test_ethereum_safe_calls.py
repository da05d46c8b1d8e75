"""What custodians understand of a Safe's calls, and everything that they refuse."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from coincurve import PrivateKey
from eth_abi.abi import encode as abi_encode
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.ethereum import custody
from orion.chains.ethereum.abi import address_bytes, uint_word
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.safe_account import owners_of
from orion.chains.ethereum.safe_calls import BATCH_MAX, Call, Swap, multi_send
from orion.chains.ethereum.safe_contracts import (
    MULTI_SEND,
    SENTINEL,
    safe_contracts,
)
from orion.chains.ethereum.safe_transaction import SafeTransaction
from orion.chains.ethereum.token import transfer_call
from orion.chains.spend import (
    CustodyAccount,
    CustodyKeys,
    CustodyPlace,
    Operation,
    Payment,
    SpendRefused,
    WalletKind,
)

ETH, USDT, USDC = "ETH.ethereum", "USDT.ethereum", "USDC.ethereum"
CONTRACTS = {
    USDT: "0xdAC17F958D2ee523a2206206994597C13D831ec7",
    USDC: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    "USDT.tron": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
}
TOKEN = CONTRACTS[USDT].lower()
RECIPIENT = "0x" + "c0" * 20
OTHER = "0x" + "0d" * 20
ZERO = "0x" + 40 * "0"


def keys(first: int) -> CustodyKeys:
    points = tuple(
        PrivateKey.from_int(number).public_key.format() for number in range(first, first + 5)
    )
    return CustodyKeys(points, tuple(bytes([number]) * 32 for number in range(5)))


KEYS = keys(11)
OWNERS = owners_of(KEYS)
NEW = owners_of(keys(77))
ACCOUNT = custody.account(CustodyPlace("ethereum", "1", 3, WalletKind.HOT, 1), KEYS, "")
SAFE = ACCOUNT.address


def calling(to: str, value: int, data: bytes, operation: int = 0) -> bytes:
    return SafeTransaction(1, SAFE, to, value, data, operation, 7).encode()


def batch(*calls: Call) -> bytes:
    return calling(safe_contracts().multi_send, 0, multi_send(calls), 1)


def swap(previous: bytes, old: bytes, new: bytes) -> Call:
    return Swap(previous, old, new).call(SAFE)


def reason_of(unsigned: bytes) -> object:
    with pytest.raises(SpendRefused) as refused:
        custody.decode(unsigned, ACCOUNT, CONTRACTS)
    return refused.value.fields["reason"]


def test_a_payment_of_coins_is_read() -> None:
    unsigned = calling(RECIPIENT, 5, b"")
    spend = custody.decode(unsigned, ACCOUNT, CONTRACTS)
    assert spend.operation is Operation.PAY
    assert spend.payments == (Payment(ETH, RECIPIENT, 5),)
    assert spend.claims == (f"{SAFE}:7",)
    assert spend.fee_max_units == 0
    assert spend.messages == (bytes.fromhex(spend.version),)
    assert spend.owners_after == ()


def test_a_payment_of_a_token_is_read() -> None:
    data = keccak256(b"transfer(address,uint256)")[:4]
    data += abi_encode(["address", "uint256"], [RECIPIENT, 25_000_000])
    spend = custody.decode(calling(TOKEN, 0, data), ACCOUNT, CONTRACTS)
    assert spend.payments == (Payment(USDT, RECIPIENT, 25_000_000),)


def test_a_void_uses_up_its_nonce_and_pays_nobody() -> None:
    unsigned = custody.propose_void(ACCOUNT, 7)
    assert unsigned == calling(SAFE, 0, b"")
    spend = custody.decode(unsigned, ACCOUNT, CONTRACTS)
    assert spend.operation is Operation.VOID
    assert (spend.payments, spend.owners_after, spend.fee_max_units) == ((), (), 0)
    paid = custody.decode(calling(RECIPIENT, 5, b""), ACCOUNT, CONTRACTS)
    assert spend.claims == paid.claims == (f"{SAFE}:7",)
    assert spend.version != paid.version


def test_a_call_of_nobody_without_value_is_no_void() -> None:
    """Only the Safe's own `receive` is known to do nothing."""
    assert reason_of(calling(OTHER, 0, b"")) == "units"
    assert reason_of(calling(safe_contracts().multi_send, 0, b"")) == "units"


PAYMENTS = st.lists(
    st.builds(
        Payment,
        st.sampled_from([ETH, USDT, USDC]),
        st.binary(min_size=19, max_size=19).map(lambda raw: "0xee" + raw.hex()),
        st.integers(1, 2**256 - 1),
    ),
    min_size=1,
    max_size=BATCH_MAX,
)


@settings(max_examples=15)
@given(PAYMENTS, st.integers(0, 2**64))
def test_what_is_proposed_is_what_custodians_read(payments: list[Payment], nonce: int) -> None:
    unsigned = custody.propose_payments(ACCOUNT, nonce, payments, CONTRACTS)
    spend = custody.decode(unsigned, ACCOUNT, CONTRACTS)
    assert spend.payments == tuple(payments)
    assert spend.claims == (f"{SAFE}:{nonce}",)


def _swap_bytes(data: bytes, position: int, value: int) -> bytes:
    return data[:position] + bytes([value]) + data[position + 1 :]


def test_every_altered_byte_of_a_batch_is_refused_or_pays_visibly() -> None:
    """Whatever still decodes has other payments, or the same transaction."""
    wanted = (Call(RECIPIENT, 5, b""), Call(TOKEN, 0, transfer_call(RECIPIENT, 9)))
    data = multi_send(wanted)
    to = safe_contracts().multi_send
    expected = custody.decode(batch(*wanted), ACCOUNT, CONTRACTS)
    for position in range(len(data)):
        for value in {data[position] ^ 1, data[position] ^ 0x80}:
            other = calling(to, 0, _swap_bytes(data, position, value), 1)
            try:
                found = custody.decode(other, ACCOUNT, CONTRACTS)
            except SpendRefused:
                continue
            assert found.payments != expected.payments
            assert found.version != expected.version


def test_every_altered_byte_of_a_transfer_is_refused_or_pays_visibly() -> None:
    data = transfer_call(RECIPIENT, 9)
    expected = custody.decode(calling(TOKEN, 0, data), ACCOUNT, CONTRACTS)
    for position in range(len(data)):
        other = calling(TOKEN, 0, _swap_bytes(data, position, data[position] ^ 0x40))
        try:
            found = custody.decode(other, ACCOUNT, CONTRACTS)
        except SpendRefused:
            assert position < 4 + 12
        else:
            assert position >= 4 + 12
            assert found.payments != expected.payments


PAY = Call(RECIPIENT, 5, b"")
GOOD_SWAP = swap(SENTINEL, OWNERS[0], NEW[0])
CALLDATA = transfer_call(RECIPIENT, 9)
OTHER_CALLS = {
    "approve": keccak256(b"approve(address,uint256)")[:4] + CALLDATA[4:],
    "transferFrom": keccak256(b"transferFrom(address,address,uint256)")[:4] + bytes(96),
}
SAFE_CALLS = [
    "enableModule(address)",
    "disableModule(address,address)",
    "setGuard(address)",
    "setFallbackHandler(address)",
    "changeThreshold(uint256)",
    "addOwnerWithThreshold(address,uint256)",
    "removeOwner(address,address,uint256)",
    "approveHash(bytes32)",
    "execTransactionFromModule(address,uint256,bytes,uint8)",
]


@pytest.mark.parametrize(
    "unsigned, reason",
    [
        pytest.param(calling(RECIPIENT, 0, b""), "units", id="nothing"),
        pytest.param(calling(ZERO, 5, b""), "recipient", id="zero address"),
        pytest.param(calling(TOKEN, 5, b""), "recipient", id="coins to a token"),
        pytest.param(calling(SAFE, 5, b""), "self_payment", id="itself"),
        pytest.param(calling(SAFE, 0, b"\x00"), "call", id="itself, a byte"),
        pytest.param(batch(PAY, Call(SAFE, 0, b"")), "self_payment", id="pays and voids"),
        pytest.param(batch(Call(SAFE, 0, b"")), "self_payment", id="void in a batch"),
        pytest.param(batch(GOOD_SWAP, Call(SAFE, 0, b"")), "mixed", id="rotates and voids"),
        pytest.param(calling(OTHER, 0, CALLDATA), "contract", id="unknown token"),
        pytest.param(calling(RECIPIENT, 5, b"\x00"), "contract", id="coins with data"),
        pytest.param(calling(TOKEN, 1, CALLDATA), "value", id="token call with coins"),
        pytest.param(calling(TOKEN, 0, CALLDATA[:-1]), "call", id="short"),
        pytest.param(calling(TOKEN, 0, CALLDATA[:4]), "call", id="selector only"),
        pytest.param(calling(TOKEN, 0, CALLDATA[:3]), "call", id="half a selector"),
        pytest.param(calling(TOKEN, 0, CALLDATA + b"\x00"), "call", id="long"),
        pytest.param(
            calling(TOKEN, 0, CALLDATA[:4] + b"\x01" + CALLDATA[5:]), "call", id="dirty address"
        ),
        pytest.param(calling(TOKEN, 0, transfer_call(RECIPIENT, 0)), "units", id="no tokens"),
        pytest.param(calling(TOKEN, 0, transfer_call(ZERO, 1)), "recipient", id="burn"),
        pytest.param(calling(TOKEN, 0, transfer_call(TOKEN, 1)), "recipient", id="own contract"),
        pytest.param(calling(TOKEN, 0, transfer_call(SAFE, 1)), "self_payment", id="own tokens"),
        *(
            pytest.param(calling(TOKEN, 0, data), "call", id=name)
            for name, data in OTHER_CALLS.items()
        ),
        *(
            pytest.param(
                calling(SAFE, 0, keccak256(name.encode())[:4] + bytes(96)), "call", id=name
            )
            for name in SAFE_CALLS
        ),
        pytest.param(calling(OTHER, 0, multi_send((PAY,)), 1), "delegate", id="foreign code"),
        pytest.param(calling(TOKEN, 0, CALLDATA, 1), "delegate", id="token's code"),
        pytest.param(calling(SAFE, 0, b"", 1), "delegate", id="own code"),
        pytest.param(
            calling(safe_contracts().multi_send, 0, multi_send((PAY,))),
            "contract",
            id="not delegated",
        ),
        pytest.param(
            calling(safe_contracts().multi_send, 1, multi_send((PAY,)), 1), "value", id="value"
        ),
        pytest.param(calling(safe_contracts().multi_send, 0, b"", 1), "batch", id="no call"),
        pytest.param(batch(), "batch", id="empty batch"),
        pytest.param(batch(*[PAY] * (BATCH_MAX + 1)), "batch", id="long batch"),
        pytest.param(batch(PAY, Call(OTHER, 0, CALLDATA)), "contract", id="one bad of two"),
        pytest.param(
            batch(PAY, Call(safe_contracts().multi_send, 0, multi_send((PAY,)))),
            "contract",
            id="nested batch",
        ),
        pytest.param(batch(PAY, GOOD_SWAP), "mixed", id="pays and rotates"),
    ],
)
def test_anything_else_is_refused_with_its_reason(unsigned: bytes, reason: str) -> None:
    assert reason_of(unsigned) == reason


PACKED = bytes([0]) + address_bytes(RECIPIENT) + uint_word(5) + uint_word(0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(MULTI_SEND.call(b"\x01" + PACKED[1:]), id="inner delegatecall"),
        pytest.param(MULTI_SEND.call(b"\x02" + PACKED[1:]), id="unknown inner operation"),
        pytest.param(MULTI_SEND.call(PACKED + b"\x00"), id="trailing byte"),
        pytest.param(MULTI_SEND.call(PACKED[:-1]), id="cut head"),
        pytest.param(MULTI_SEND.call(PACKED[:-1] + b"\x01"), id="cut data"),
        pytest.param(MULTI_SEND.call(PACKED[:53] + uint_word(2**256 - 1)), id="huge data"),
        pytest.param(MULTI_SEND.call(PACKED) + b"\x00", id="after the arguments"),
        pytest.param(MULTI_SEND.call(PACKED)[:-1], id="padding cut"),
        pytest.param(MULTI_SEND.call(PACKED)[:-1] + b"\x01", id="dirty padding"),
        pytest.param(
            MULTI_SEND.selector + uint_word(64) + bytes(32) + MULTI_SEND.call(PACKED)[36:],
            id="another offset",
        ),
    ],
)
def test_a_batch_has_one_form(data: bytes) -> None:
    assert reason_of(calling(safe_contracts().multi_send, 0, data, 1)) == "batch"


@pytest.mark.parametrize(
    "account, reason",
    [
        (replace(ACCOUNT, place=replace(ACCOUNT.place, network="5")), "network"),
        (replace(ACCOUNT, address=OTHER), "account"),
    ],
)
def test_a_transaction_of_another_account_or_network_is_refused(
    account: CustodyAccount, reason: str
) -> None:
    unsigned = calling(RECIPIENT, 5, b"")
    for read in (
        lambda: custody.decode(unsigned, account, CONTRACTS),
        lambda: custody.assemble(unsigned, account, {}),
    ):
        with pytest.raises(SpendRefused) as refused:
            read()
        assert refused.value.fields["reason"] == reason


def test_one_contract_cannot_be_two_assets() -> None:
    for contracts in ({**CONTRACTS, "USD2.ethereum": TOKEN}, {ETH: TOKEN}):
        with pytest.raises(SpendRefused) as refused:
            custody.decode(calling(RECIPIENT, 5, b""), ACCOUNT, contracts)
        assert refused.value.fields["reason"] == "contracts"


def addresses(owners: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(sorted("0x" + owner.hex() for owner in owners))


@pytest.mark.parametrize("position", range(5))
def test_a_swap_leaves_the_other_four(position: int) -> None:
    previous = OWNERS[position - 1] if position else SENTINEL
    call = swap(previous, OWNERS[position], NEW[0])
    spend = custody.decode(calling(SAFE, 0, call.data), ACCOUNT, CONTRACTS)
    assert spend.operation is Operation.ROTATE
    assert spend.payments == ()
    kept = OWNERS[:position] + OWNERS[position + 1 :]
    assert spend.owners_after == addresses((*kept, NEW[0]))


@settings(max_examples=25)
@given(st.sets(st.integers(0, 4), min_size=1), st.integers(0, 2**32))
def test_a_proposed_rotation_gives_the_target_sets_owners(changed: set[int], nonce: int) -> None:
    points = [
        (keys(77) if position in changed else KEYS).secp256k1[position] for position in range(5)
    ]
    target = CustodyKeys(tuple(points), KEYS.ed25519)
    unsigned = custody.propose_rotation(ACCOUNT, nonce, target)
    spend = custody.decode(unsigned, ACCOUNT, CONTRACTS)
    assert spend.operation is Operation.ROTATE
    assert spend.owners_after == custody.owner_addresses(target)


SWAPS: dict[str, tuple[Callable[[], tuple[Call, ...]], str]] = {
    "wrong previous": (lambda: (swap(SENTINEL, OWNERS[1], NEW[0]),), "owners"),
    "previous of the first": (lambda: (swap(OWNERS[4], OWNERS[0], NEW[0]),), "owners"),
    "no owner": (lambda: (swap(SENTINEL, NEW[1], NEW[0]),), "owners"),
    "an owner already": (lambda: (swap(SENTINEL, OWNERS[0], OWNERS[3]),), "owners"),
    "itself again": (lambda: (swap(SENTINEL, OWNERS[0], OWNERS[0]),), "owners"),
    "zero": (lambda: (swap(SENTINEL, OWNERS[0], bytes(20)),), "owners"),
    "sentinel": (lambda: (swap(SENTINEL, OWNERS[0], SENTINEL),), "owners"),
    "the safe": (lambda: (swap(SENTINEL, OWNERS[0], address_bytes(SAFE)),), "owners"),
    "coins": (lambda: (replace(GOOD_SWAP, value=1),), "value"),
    "cut": (lambda: (replace(GOOD_SWAP, data=GOOD_SWAP.data[:-1]),), "call"),
    "long": (lambda: (replace(GOOD_SWAP, data=GOOD_SWAP.data + b"\x00"),), "call"),
    "twice": (lambda: (GOOD_SWAP, GOOD_SWAP), "owners"),
    "stale previous": (
        lambda: (GOOD_SWAP, swap(OWNERS[0], OWNERS[1], NEW[1])),
        "owners",
    ),
}


@pytest.mark.parametrize("case", SWAPS)
def test_a_swap_that_is_not_understood_is_refused(case: str) -> None:
    make, reason = SWAPS[case]
    calls = make()
    unsigned = calling(SAFE, calls[0].value, calls[0].data) if len(calls) == 1 else batch(*calls)
    assert reason_of(unsigned) == reason


@pytest.mark.parametrize(
    "payments, reason",
    [
        ([], "batch"),
        ([Payment(ETH, RECIPIENT, 1)] * (BATCH_MAX + 1), "batch"),
        ([Payment("DAI.ethereum", RECIPIENT, 1)], "contract"),
        ([Payment(ETH, RECIPIENT, 0)], "units"),
        ([Payment(USDT, SAFE, 1)], "self_payment"),
        ([Payment(ETH, "0x" + "C0" * 20, 1)], "form"),
        ([Payment(ETH, "alice", 1)], "form"),
        ([Payment(ETH, RECIPIENT, 2**256)], "form"),
        ([Payment(USDT, RECIPIENT, -1)], "form"),
    ],
)
def test_nothing_is_proposed_that_custodians_refuse(payments: list[Payment], reason: str) -> None:
    with pytest.raises(SpendRefused) as refused:
        custody.propose_payments(ACCOUNT, 0, payments, CONTRACTS)
    assert refused.value.fields["reason"] == reason


@pytest.mark.parametrize("nonce", [-1, 2**256])
def test_nothing_is_proposed_at_a_nonce_that_no_safe_has(nonce: int) -> None:
    with pytest.raises(SpendRefused) as refused:
        custody.propose_payments(ACCOUNT, nonce, [Payment(ETH, RECIPIENT, 1)], CONTRACTS)
    assert refused.value.fields["reason"] == "form"
    with pytest.raises(SpendRefused):
        custody.propose_void(ACCOUNT, nonce)


def test_a_rotation_to_the_same_keys_or_to_an_owners_key_is_refused() -> None:
    twice = CustodyKeys((KEYS.secp256k1[1], KEYS.secp256k1[0], *KEYS.secp256k1[2:]), KEYS.ed25519)
    for target in (KEYS, twice):
        with pytest.raises(SpendRefused) as refused:
            custody.propose_rotation(ACCOUNT, 0, target)
        assert refused.value.fields["reason"] == "owners"
