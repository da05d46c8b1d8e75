"""Solana's messages, instructions and derived addresses against solders and solana-py."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta
from solders.instruction import Instruction as TheirInstruction
from solders.message import Message as TheirMessage
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import (
    AllocateWithSeedParams,
    TransferParams,
    allocate_with_seed,
    transfer,
)
from spl.token import instructions as spl
from spl.token.constants import (
    ASSOCIATED_TOKEN_PROGRAM_ID,
    TOKEN_2022_PROGRAM_ID,
    TOKEN_PROGRAM_ID,
    WRAPPED_SOL_MINT,
)
from spl.token.models import (
    CloseAccountParams,
    InitializeAccount3Params,
    InitializeMultisig2Params,
    SyncNativeParams,
    TransferCheckedParams,
)

from orion.chains.solana import derived, instructions, programs
from orion.chains.solana.curve import is_on_curve
from orion.chains.solana.message import (
    Call,
    Instruction,
    Meta,
    compile_message,
    parse_message,
    parse_transaction,
    transaction,
)
from orion.chains.spend import SpendRefused

KEY = st.binary(min_size=32, max_size=32)
A, B, C, D, E = (hashlib.sha256(bytes([at])).digest() for at in range(5))


def _theirs(row: Instruction) -> TheirInstruction:
    metas = [AccountMeta(Pubkey(m.key), m.signs, m.writable) for m in row.accounts]
    return TheirInstruction(Pubkey(row.program), row.data, metas)


@st.composite
def _calls(draw: st.DrawFn) -> list[Instruction]:
    """Instructions over few keys, so that an account has different parts in several."""
    keys = draw(st.lists(KEY, min_size=2, max_size=6, unique=True))
    metas = st.builds(Meta, st.sampled_from(keys), st.booleans(), st.booleans())
    row = st.builds(
        Instruction,
        st.sampled_from(draw(st.lists(KEY, min_size=1, max_size=3))),
        st.lists(metas, max_size=5).map(tuple),
        st.binary(max_size=140),
    )
    return draw(st.lists(row, min_size=1, max_size=3))


@settings(max_examples=20)
@given(KEY, _calls(), KEY)
def test_a_message_is_written_and_read_as_solders_does(
    payer: bytes, calls: list[Instruction], blockhash: bytes
) -> None:
    assume(all(row.program != payer for row in calls))  # No program pays; such are not read.
    theirs = TheirMessage.new_with_blockhash(
        [_theirs(row) for row in calls], Pubkey(payer), Hash(blockhash)
    )
    written = compile_message(payer, calls, blockhash)
    read = parse_message(written)

    assert written == bytes(theirs)
    assert read.keys == tuple(bytes(key) for key in theirs.account_keys)
    assert (read.signers, read.blockhash) == (theirs.header.num_required_signatures, blockhash)
    assert read.calls == tuple(
        Call(row.program, tuple(meta.key for meta in row.accounts), row.data) for row in calls
    )


def _pub(*keys: bytes) -> list[Pubkey]:
    return [Pubkey(key) for key in keys]


def _checked(signers: list[Pubkey]) -> TheirInstruction:
    a, b, c, d = _pub(A, B, C, D)
    return spl.transfer_checked(
        TransferCheckedParams(
            program_id=TOKEN_PROGRAM_ID,
            source=a,
            mint=b,
            dest=c,
            owner=d,
            amount=2**63,
            decimals=6,
            signers=signers,
        )
    )


def _allocated() -> TheirInstruction:
    a, b = _pub(A, B)
    params = AllocateWithSeedParams(
        address=a, base=b, seed="orion/7/hot/1", space=355, owner=TOKEN_PROGRAM_ID
    )
    return allocate_with_seed(params)


def _initialized() -> TheirInstruction:
    a, b, c = _pub(A, B, C)
    return spl.initialize_account3(
        InitializeAccount3Params(program_id=TOKEN_PROGRAM_ID, account=a, mint=b, owner=c)
    )


def _many() -> TheirInstruction:
    a, *keys = _pub(A, B, C, D, E)
    return spl.initialize_multisig2(
        InitializeMultisig2Params(program_id=TOKEN_PROGRAM_ID, multisig=a, m=3, signers=keys)
    )


def _closed(signers: list[Pubkey]) -> TheirInstruction:
    a, b, d = _pub(A, B, D)
    return spl.close_account(
        CloseAccountParams(program_id=TOKEN_PROGRAM_ID, account=a, dest=b, owner=d, signers=signers)
    )


@pytest.mark.parametrize(
    "ours,theirs",
    [
        (instructions.compute_limit(7), lambda: set_compute_unit_limit(7)),
        (instructions.compute_price(2**40), lambda: set_compute_unit_price(2**40)),
        (
            instructions.transfer_sol(A, B, 5),
            lambda: transfer(
                TransferParams(from_pubkey=Pubkey(A), to_pubkey=Pubkey(B), lamports=5)
            ),
        ),
        (
            instructions.allocate_with_seed(A, B, "orion/7/hot/1", 355, programs.TOKEN),
            _allocated,
        ),
        (
            instructions.create_associated(A, B, C),
            lambda: spl.create_idempotent_associated_token_account(*_pub(A, B, C)),
        ),
        (
            instructions.transfer_tokens(A, B, C, [Meta(D, signs=True)], 2**63, 6),
            lambda: _checked([]),
        ),
        (
            instructions.transfer_tokens(
                A, B, C, instructions.multisig_authority(D, [E, A]), 2**63, 6
            ),
            lambda: _checked(_pub(E, A)),
        ),
        (
            instructions.sync_native(A),
            lambda: spl.sync_native(
                SyncNativeParams(program_id=TOKEN_PROGRAM_ID, account=Pubkey(A))
            ),
        ),
        (instructions.initialize_account(A, B, C), _initialized),
        (instructions.initialize_multisig(A, 3, [B, C, D, E]), _many),
        (
            instructions.close_account(A, B, instructions.multisig_authority(D, [E])),
            lambda: _closed(_pub(E)),
        ),
    ],
)
def test_an_instruction_is_the_one_that_solanas_libraries_write(
    ours: Instruction, theirs: Callable[[], TheirInstruction]
) -> None:
    made = theirs()
    assert (Pubkey(ours.program), ours.data) == (made.program_id, bytes(made.data))
    assert [meta.key for meta in ours.accounts] == [bytes(meta.pubkey) for meta in made.accounts]
    for mine, their in zip(ours.accounts, made.accounts, strict=True):
        assert (mine.signs, mine.writable) == (their.is_signer, their.is_writable)


def test_programs_and_sizes_are_the_published_ones() -> None:
    assert Pubkey(programs.TOKEN) == TOKEN_PROGRAM_ID
    assert Pubkey(programs.TOKEN_2022) == TOKEN_2022_PROGRAM_ID
    assert Pubkey(programs.ASSOCIATED_TOKEN) == ASSOCIATED_TOKEN_PROGRAM_ID
    assert Pubkey(programs.WRAPPED_SOL) == WRAPPED_SOL_MINT
    assert programs.TOKEN_ACCOUNT_RENT == 2_039_280
    assert programs.MULTISIG_RENT == 3_361_680


def test_curve_membership_is_judged_as_solders_does() -> None:
    hashes = [hashlib.sha256(at.to_bytes(4, "big")).digest() for at in range(500)]
    prime = 2**255 - 19
    corners = [number for base in (0, 2**255, prime) for number in range(base, base + 20)]
    edges = [(number % 2**256).to_bytes(32, "little") for number in [*corners, -1, 2**255 - 1]]
    found = [is_on_curve(key) for key in hashes + edges]

    assert found == [Pubkey(key).is_on_curve() for key in hashes + edges]
    assert 200 < sum(found[:500]) < 300


@settings(max_examples=20)
@given(KEY, KEY, st.sampled_from([programs.TOKEN, programs.TOKEN_2022]))
def test_an_associated_account_is_the_one_that_solana_finds(
    owner: bytes, mint: bytes, program: bytes
) -> None:
    theirs = spl.get_associated_token_address(Pubkey(owner), Pubkey(mint), Pubkey(program))
    assert derived.associated(owner, mint, program) == bytes(theirs)


@settings(max_examples=20)
@given(KEY, st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=32), KEY)
def test_an_account_with_a_seed_is_the_one_that_solana_makes(
    base: bytes, seed: str, program: bytes
) -> None:
    theirs = Pubkey.create_with_seed(Pubkey(base), seed, Pubkey(program))
    assert derived.with_seed(base, seed, program) == bytes(theirs)


MESSAGE = compile_message(A, [instructions.transfer_sol(A, B, 5)], C)


def test_a_message_that_ends_early_is_refused() -> None:
    for size in range(len(MESSAGE)):
        with pytest.raises(SpendRefused, match="malformed"):
            parse_message(MESSAGE[:size])


@pytest.mark.parametrize(
    "altered",
    [
        MESSAGE + b"\0",
        MESSAGE[:3] + b"\x83\0" + MESSAGE[4:],  # A count of 3 in two bytes.
        MESSAGE[:3] + b"\x83\x80\0" + MESSAGE[4:],
        b"\0" + MESSAGE[1:],  # Nobody signs.
        b"\4" + MESSAGE[1:],  # More signers than accounts.
        b"\1\1" + MESSAGE[2:],  # The payer is read only.
        MESSAGE[:2] + b"\3" + MESSAGE[3:],  # More that neither sign nor write than accounts.
        MESSAGE.replace(B, A),  # An account twice.
        MESSAGE[:-17] + b"\0" + MESSAGE[-16:],  # The payer as program.
        MESSAGE[:-17] + b"\3" + MESSAGE[-16:],  # A program that is not listed.
        MESSAGE[:-15] + b"\0\3" + MESSAGE[-13:],  # An account that is not listed.
    ],
)
def test_a_message_in_any_other_form_is_refused(altered: bytes) -> None:
    with pytest.raises(SpendRefused, match="malformed"):
        parse_message(altered)


def test_a_versioned_message_is_refused() -> None:
    calls = [_theirs(instructions.transfer_sol(A, B, 5))]
    message = MessageV0.try_compile(Pubkey(A), calls, [], Hash(C))
    with pytest.raises(SpendRefused, match="versioned_message"):
        parse_message(to_bytes_versioned(message))


def test_what_no_packet_holds_is_neither_written_nor_read() -> None:
    def padded(size: int) -> list[Instruction]:
        return [Instruction(B, (), bytes(size))]

    # One count, one signature, the header, counts, two keys, the block hash, and the instruction.
    room = 1_232 - (1 + 64 + 3 + 1 + 64 + 32 + 1) - (1 + 1 + 2)
    fits = compile_message(A, padded(room), C)
    assert len(transaction(fits, [bytes(64)])) == 1_232
    assert parse_message(fits).calls[0].data == bytes(room)
    with pytest.raises(SpendRefused, match="too_large"):
        compile_message(A, padded(room + 1), C)
    with pytest.raises(SpendRefused, match="too_large"):
        parse_message(
            bytes(
                TheirMessage.new_with_blockhash(
                    [_theirs(row) for row in padded(room + 1)], Pubkey(A), Hash(C)
                )
            )
        )
    with pytest.raises(SpendRefused, match="too_large"):
        compile_message(
            A,
            [
                Instruction(B, tuple(Meta(bytes([at]) * 32) for at in range(250)), b"")
                for _ in range(2)
            ],
            C,
        )


def test_a_transaction_has_as_many_signatures_as_its_message_asks_for() -> None:
    assert parse_transaction(transaction(MESSAGE, [D + E]))[:2] == ((D + E,), MESSAGE)
    for signatures in ([], [D + E, E + D]):
        with pytest.raises(SpendRefused, match="malformed"):
            parse_transaction(transaction(MESSAGE, signatures))
