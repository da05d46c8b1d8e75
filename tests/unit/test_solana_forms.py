"""How the Solana stand-in writes texts, amounts and instructions, against solders' own reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import (
    AdvanceNonceAccountParams,
    CreateAccountParams,
    TransferParams,
    advance_nonce_account,
    create_account,
    transfer,
)
from spl.token.constants import TOKEN_PROGRAM_ID
from spl.token.instructions import set_authority
from spl.token.models import AuthorityType, SetAuthorityParams

from infra.local.solana import base58
from infra.local.solana.ui_amounts import ui_amount
from infra.local.solana.ui_instructions import ui_parsed

A, B, C = (Keypair.from_seed(bytes([n] * 32)).pubkey() for n in range(3))


@given(st.binary(min_size=32, max_size=32))
def test_a_key_is_written_as_solders_writes_it(raw: bytes) -> None:
    assert base58.encode(raw) == str(Pubkey(raw))
    assert base58.decode(str(Pubkey(raw))) == raw


@given(st.binary(min_size=64, max_size=64))
def test_a_signature_is_written_as_solders_writes_it(raw: bytes) -> None:
    assert base58.encode(raw) == str(Signature(raw))


@given(st.binary(max_size=200))
def test_base58_is_read_back(raw: bytes) -> None:
    assert base58.decode(base58.encode(raw)) == raw


@pytest.mark.parametrize("text", ["0", "l", "I", "O", " 1", "é", "1" * 1_684])
def test_a_text_that_is_no_base58_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base58|letters"):
        base58.decode(text)


@pytest.mark.parametrize(
    "units, decimals, text",
    [
        (0, 6, "0"),
        (1, 6, "0.000001"),
        (1_500_000, 6, "1.5"),
        (10, 1, "1"),
        (7, 0, "7"),
        (70, 0, "70"),
        (2**64 - 1, 19, "1.8446744073709551615"),
    ],
)
def test_an_amount_is_written_exactly(units: int, decimals: int, text: str) -> None:
    shown = ui_amount(units, decimals)
    assert (shown["amount"], shown["uiAmountString"]) == (str(units), text)


def _shown(call: Instruction) -> object:
    accounts = [str(meta.pubkey) for meta in call.accounts]
    return ui_parsed(str(call.program_id), accounts, bytes(call.data), 1)


def test_a_transfer_is_parsed() -> None:
    call = transfer(TransferParams(from_pubkey=A, to_pubkey=B, lamports=7))
    assert _shown(call) == {
        "parsed": {
            "info": {"source": str(A), "destination": str(B), "lamports": 7},
            "type": "transfer",
        },
        "program": "system",
        "programId": str(Pubkey.default()),
        "stackHeight": 1,
    }


def test_a_nonce_s_advance_is_parsed() -> None:
    call = advance_nonce_account(AdvanceNonceAccountParams(nonce_pubkey=A, authorized_pubkey=B))
    assert _parsed(call) == {
        "type": "advanceNonce",
        "info": {
            "nonceAccount": str(A),
            "recentBlockhashesSysvar": "SysvarRecentB1ockHashes11111111111111111111",
            "nonceAuthority": str(B),
        },
    }


def test_a_multisig_authority_is_shown_with_its_signers() -> None:
    call = set_authority(
        SetAuthorityParams(
            program_id=TOKEN_PROGRAM_ID,
            account=A,
            authority=AuthorityType.ACCOUNT_OWNER,
            current_authority=B,
            new_authority=C,
            signers=[A, C],
        )
    )
    assert _parsed(call) == {
        "type": "setAuthority",
        "info": {
            "account": str(A),
            "authorityType": "accountOwner",
            "newAuthority": str(C),
            "multisigAuthority": str(B),
            "signers": [str(A), str(C)],
        },
    }


def _parsed(call: Instruction) -> object:
    shown = _shown(call)
    assert isinstance(shown, dict)
    return shown["parsed"]


def test_an_instruction_cut_short_or_unknown_is_shown_undecoded() -> None:
    whole = create_account(
        CreateAccountParams(from_pubkey=A, to_pubkey=B, lamports=1, space=2, owner=C)
    )
    program, accounts = str(whole.program_id), [str(A), str(B)]
    for data in (bytes(whole.data)[:-1], b"", b"\xff" * 8):
        shown = ui_parsed(program, accounts, data, None)
        assert shown == {
            "accounts": accounts,
            "data": base58.encode(data),
            "programId": program,
            "stackHeight": None,
        }
    assert "accounts" in ui_parsed(program, [str(A)], bytes(whole.data), None)
    assert "accounts" in ui_parsed(str(C), accounts, bytes(whole.data), None)


@given(st.binary(max_size=80), st.lists(st.just(str(A)), max_size=6))
def test_no_instruction_data_breaks_the_parser(data: bytes, accounts: list[str]) -> None:
    for program in (Pubkey.default(), TOKEN_PROGRAM_ID):
        ui_parsed(str(program), accounts, data, None)
