"""Instructions in jsonParsed form: system, SPL Token, associated token account, memo.

Anything else, and anything malformed, is shown undecoded, as Agave does. Source: crate
solana-transaction-status, parse_system.rs, parse_token.rs, parse_associated_token.rs.
"""

from collections.abc import Callable, Sequence

from infra.local.solana import base58
from infra.local.solana.model import Json
from infra.local.solana.tokens import TOKEN, TOKEN_2022
from infra.local.solana.ui_amounts import ui_amount

_SYSTEM = "11111111111111111111111111111111"
_ASSOCIATED = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL"
_MEMOS = (
    "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr",
    "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo",
)
_AUTHORITIES = ("mintTokens", "freezeAccount", "accountOwner", "closeAccount")
_EXTENSIONS = {7: "immutableOwner"}


class _Reader:
    """Little-endian fields of instruction data. Raises IndexError at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) != size:
            raise IndexError("instruction data ended")
        self._at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def key(self) -> str:
        return base58.encode(self.take(32))

    def option_key(self) -> str | None:
        return self.key() if self.number(1) else None

    def text(self) -> str:
        return self.take(self.number(8)).decode()

    def rest(self) -> bytes:
        return self._data[self._at :]


Accounts = Sequence[str]
Parsed = tuple[str, dict[str, Json]]


def memo_text(program: str, data: bytes) -> str | None:
    """The memo of an instruction, None when it is none."""
    if program not in _MEMOS:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def ui_parsed(program: str, accounts: Accounts, data: bytes, stack_height: int | None) -> Json:
    """An instruction, parsed where its program is known."""
    shown: dict[str, Json]
    parsed = _parse(program, accounts, data)
    if parsed is None:
        shown = {
            "accounts": list(accounts),
            "data": base58.encode(data),
            "programId": program,
        }
    else:
        shown = {"parsed": parsed[1], "program": parsed[0], "programId": program}
    return {**shown, "stackHeight": stack_height}


def _parse(program: str, accounts: Accounts, data: bytes) -> tuple[str, Json] | None:
    memo = memo_text(program, data)
    if memo is not None:
        return "spl-memo", memo
    parsers: dict[str, tuple[str, Callable[[Accounts, _Reader], Parsed | None]]] = {
        _SYSTEM: ("system", _system),
        str(TOKEN): ("spl-token", _token),
        str(TOKEN_2022): ("spl-token", _token),
        _ASSOCIATED: ("spl-associated-token-account", _associated),
    }
    if program not in parsers:
        return None
    name, parser = parsers[program]
    try:
        found = parser(accounts, _Reader(data))
    except (IndexError, UnicodeDecodeError):
        return None
    return None if found is None else (name, {"info": found[1], "type": found[0]})


def _system(a: Accounts, data: _Reader) -> Parsed | None:
    kind = data.number(4)
    if kind == 0:
        info: dict[str, Json] = {"source": a[0], "newAccount": a[1]}
        info |= {"lamports": data.number(8), "space": data.number(8), "owner": data.key()}
        return "createAccount", info
    if kind == 1:
        return "assign", {"account": a[0], "owner": data.key()}
    if kind == 2:
        return "transfer", {"source": a[0], "destination": a[1], "lamports": data.number(8)}
    if kind == 3:
        info = {"source": a[0], "newAccount": a[1], "base": data.key(), "seed": data.text()}
        info |= {"lamports": data.number(8), "space": data.number(8), "owner": data.key()}
        return "createAccountWithSeed", info
    if kind == 8:
        return "allocate", {"account": a[0], "space": data.number(8)}
    return _system_nonce(kind, a, data)


def _system_nonce(kind: int, a: Accounts, data: _Reader) -> Parsed | None:
    info: dict[str, Json]
    if kind == 4:
        info = {"nonceAccount": a[0], "recentBlockhashesSysvar": a[1], "nonceAuthority": a[2]}
        return "advanceNonce", info
    if kind == 5:
        info = {"nonceAccount": a[0], "destination": a[1], "recentBlockhashesSysvar": a[2]}
        info |= {"rentSysvar": a[3], "nonceAuthority": a[4], "lamports": data.number(8)}
        return "withdrawFromNonce", info
    if kind == 6:
        info = {"nonceAccount": a[0], "recentBlockhashesSysvar": a[1], "rentSysvar": a[2]}
        return "initializeNonce", {**info, "nonceAuthority": data.key()}
    if kind == 7:
        info = {"nonceAccount": a[0], "nonceAuthority": a[1], "newAuthorized": data.key()}
        return "authorizeNonce", info
    return None


def _signed(a: Accounts, at: int, name: str, multisig: str) -> dict[str, Json]:
    """The authority at `at`: alone, or a multisig account and those who signed for it."""
    if len(a) > at + 1:
        return {multisig: a[at], "signers": list(a[at + 1 :])}
    return {name: a[at]}


def _token(a: Accounts, data: _Reader) -> Parsed | None:
    kind = data.number(1)
    if kind in (0, 20):
        info: dict[str, Json] = {"mint": a[0], "decimals": data.number(1)}
        info["mintAuthority"] = data.key()
        if kind == 0:
            info["rentSysvar"] = a[1]
        freeze = data.option_key()
        if freeze is not None:
            info["freezeAuthority"] = freeze
        return ("initializeMint" if kind == 0 else "initializeMint2"), info
    if kind in (1, 16, 18):
        info = {"account": a[0], "mint": a[1], "owner": a[2] if kind == 1 else data.key()}
        if kind != 18:
            info["rentSysvar"] = a[3 if kind == 1 else 2]
        return {1: "initializeAccount", 16: "initializeAccount2", 18: "initializeAccount3"}[
            kind
        ], info
    if kind in (2, 19):
        first = 2 if kind == 2 else 1
        info = {"multisig": a[0], "signers": list(a[first:]), "m": data.number(1)}
        if kind == 2:
            info["rentSysvar"] = a[1]
        return ("initializeMultisig" if kind == 2 else "initializeMultisig2"), info
    return _token_move(kind, a, data) or _token_rest(kind, a, data)


def _token_move(kind: int, a: Accounts, data: _Reader) -> Parsed | None:
    # (name, names of the accounts before the authority, authority, multisig, checked)
    plain: dict[int, tuple[str, tuple[str, ...], str, str, bool]] = {
        3: ("transfer", ("source", "destination"), "authority", "multisigAuthority", False),
        4: ("approve", ("source", "delegate"), "owner", "multisigOwner", False),
        7: ("mintTo", ("mint", "account"), "mintAuthority", "multisigMintAuthority", False),
        8: ("burn", ("account", "mint"), "authority", "multisigAuthority", False),
        12: (
            "transferChecked",
            ("source", "mint", "destination"),
            "authority",
            "multisigAuthority",
            True,
        ),
        13: ("approveChecked", ("source", "mint", "delegate"), "owner", "multisigOwner", True),
        14: ("mintToChecked", ("mint", "account"), "mintAuthority", "multisigMintAuthority", True),
        15: ("burnChecked", ("account", "mint"), "authority", "multisigAuthority", True),
    }
    if kind not in plain:
        return None
    name, named, authority, multisig, checked = plain[kind]
    info: dict[str, Json] = dict(zip(named, a, strict=False))
    units = data.number(8)
    if checked:
        info["tokenAmount"] = ui_amount(units, data.number(1))
    else:
        info["amount"] = str(units)
    return name, info | _signed(a, len(named), authority, multisig)


def _token_rest(kind: int, a: Accounts, data: _Reader) -> Parsed | None:
    if kind == 5:
        return "revoke", {"source": a[0]} | _signed(a, 1, "owner", "multisigOwner")
    if kind == 6:
        which = _AUTHORITIES[data.number(1)]
        owned = "mint" if which in _AUTHORITIES[:2] else "account"
        info: dict[str, Json] = {owned: a[0], "authorityType": which}
        info["newAuthority"] = data.option_key()
        return "setAuthority", info | _signed(a, 1, "authority", "multisigAuthority")
    if kind == 9:
        info = {"account": a[0], "destination": a[1]}
        return "closeAccount", info | _signed(a, 2, "owner", "multisigOwner")
    if kind in (10, 11):
        info = {"account": a[0], "mint": a[1]}
        info |= _signed(a, 2, "freezeAuthority", "multisigFreezeAuthority")
        return ("freezeAccount" if kind == 10 else "thawAccount"), info
    if kind == 17:
        return "syncNative", {"account": a[0]}
    if kind == 21:
        found = data.rest()
        codes = [int.from_bytes(found[n : n + 2], "little") for n in range(0, len(found), 2)]
        if not codes:
            return "getAccountDataSize", {"mint": a[0]}
        if any(code not in _EXTENSIONS for code in codes):
            return None
        names = [_EXTENSIONS[code] for code in codes]
        return "getAccountDataSize", {"mint": a[0], "extensionTypes": names}
    if kind == 22:
        return "initializeImmutableOwner", {"account": a[0]}
    return None


def _associated(a: Accounts, data: _Reader) -> Parsed | None:
    kind = data.rest()[:1]
    if kind not in (b"", b"\0", b"\1"):
        return None
    names = ("source", "account", "wallet", "mint", "systemProgram", "tokenProgram")
    info = dict(zip(names, a, strict=False)) if len(a) >= len(names) else None
    if info is None:
        return None
    return ("createIdempotent" if kind == b"\1" else "create"), info
