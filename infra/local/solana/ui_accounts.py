"""Accounts as the RPC shows them: encodings and jsonParsed (crate solana-account-decoder)."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from solders.account import Account
from solders.pubkey import Pubkey

from infra.local.solana import base58
from infra.local.solana.message import LAMPORTS_PER_SIGNATURE, SYSTEM_PROGRAM, nonce_of
from infra.local.solana.model import Json
from infra.local.solana.params import Options
from infra.local.solana.rpc_errors import INVALID_REQUEST, RpcError, invalid
from infra.local.solana.tokens import TOKEN, mint, multisig, token_account
from infra.local.solana.ui_amounts import ui_amount

Read = Callable[[Pubkey], Account | None]

_BASE58_BYTES_MAX = 128
_ENCODINGS = (None, "binary", "base58", "base64", "jsonParsed")


@dataclass(frozen=True, slots=True)
class Form:
    """How to show data: `encoding` of the RPC and an optional slice (offset, length)."""

    encoding: str | None
    piece: tuple[int, int] | None = None


def form_of(options: Options, default: str | None = None) -> Form:
    """The form that a call asks for. Raises RpcError."""
    encoding = options.text("encoding") or default
    if encoding not in _ENCODINGS:
        raise invalid(f"unsupported encoding {str(encoding)[:40]}")
    piece = options.object("dataSlice")
    if piece is None:
        return Form(encoding)
    return Form(encoding, (piece.integer("offset") or 0, piece.integer("length") or 0))


def ui_account(account: Account, form: Form, read: Read) -> Json:
    """`read` finds the mint of a token account. Raises RpcError when base58 would be too long."""
    return {
        "data": _data(account, form, read),
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": str(account.owner),
        "rentEpoch": account.rent_epoch,
        "space": len(account.data),
    }


def _data(account: Account, form: Form, read: Read) -> Json:
    raw = bytes(account.data)
    if form.encoding == "jsonParsed":
        parsed = parsed_account(account, read)
        if parsed is not None:
            return parsed
    if form.piece is not None:
        offset, length = form.piece
        raw = raw[offset : offset + length]
    if form.encoding in ("base64", "jsonParsed"):
        return [b64encode(raw).decode(), "base64"]
    if len(raw) > _BASE58_BYTES_MAX:
        raise RpcError(
            INVALID_REQUEST,
            "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 "
            "encoding.",
        )
    text = base58.encode(raw)
    return [text, "base58"] if form.encoding == "base58" else text


def program_name(program: Pubkey) -> str:
    return "spl-token" if program == TOKEN else "spl-token-2022"


def parsed_account(account: Account, read: Read) -> Json | None:
    """Parsed form of token accounts, mints, multisigs and nonces; None for anything else."""
    program, kind, info = program_name(account.owner), "", {}
    held, minted, many = token_account(account), mint(account), multisig(account)
    if held is not None:
        of = mint(read(held.mint))
        if of is None:
            return None
        kind = "account"
        info = {
            "isNative": held.reserve_lamports is not None,
            "mint": str(held.mint),
            "owner": str(held.owner),
            "state": held.state,
            "tokenAmount": ui_amount(held.units, of.decimals),
        }
        if held.delegate is not None:
            info["delegate"] = str(held.delegate)
            info["delegatedAmount"] = ui_amount(held.delegated_units, of.decimals)
        if held.reserve_lamports is not None:
            info["rentExemptReserve"] = ui_amount(held.reserve_lamports, of.decimals)
        if held.close_authority is not None:
            info["closeAuthority"] = str(held.close_authority)
    elif minted is not None:
        kind = "mint"
        info = {
            "decimals": minted.decimals,
            "freezeAuthority": _or_none(minted.freeze_authority),
            "isInitialized": True,
            "mintAuthority": _or_none(minted.authority),
            "supply": str(minted.supply_units),
        }
    elif many is not None:
        kind = "multisig"
        info = {
            "isInitialized": True,
            "numRequiredSigners": many.required,
            "numValidSigners": len(many.signers),
            "signers": [str(signer) for signer in many.signers],
        }
    else:
        return _parsed_nonce(account)
    return {
        "parsed": {"info": info, "type": kind},
        "program": program,
        "space": len(account.data),
    }


def _or_none(key: Pubkey | None) -> str | None:
    return None if key is None else str(key)


def _parsed_nonce(account: Account) -> Json | None:
    found = nonce_of(account) if account.owner == SYSTEM_PROGRAM else None
    if found is None:
        return None
    info = {
        "authority": str(found[0]),
        "blockhash": base58.encode(found[1]),
        "feeCalculator": {"lamportsPerSignature": str(LAMPORTS_PER_SIGNATURE)},
    }
    return {
        "parsed": {"info": info, "type": "initialized"},
        "program": "nonce",
        "space": len(account.data),
    }
