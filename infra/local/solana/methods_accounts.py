"""Calls about accounts and tokens."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from solders.account import Account
from solders.pubkey import Pubkey

from infra.local.solana import base58
from infra.local.solana.chain import Chain
from infra.local.solana.methods import At, Methods, bank_for
from infra.local.solana.model import Json
from infra.local.solana.params import Options, Params, as_integer, as_pubkey
from infra.local.solana.rpc_errors import SCAN_ERROR, RpcError, invalid
from infra.local.solana.tokens import TOKEN_PROGRAMS, mint, token_account
from infra.local.solana.ui_accounts import Form, form_of, ui_account
from infra.local.solana.ui_amounts import ui_amount

ACCOUNTS_MAX = 100
SCANNED_MAX = 10_000
_FILTERS_MAX = 4
_MEMCMP_BYTES_MAX = 128
_LARGEST = 20

Filter = Callable[[bytes], bool]


def _reader(chain: Chain, at: At) -> Callable[[Pubkey], Account | None]:
    return lambda key: chain.state.account(key, at.level)


def _shown(chain: Chain, at: At, account: Account | None, form: Form) -> Json:
    return None if account is None else ui_account(account, form, _reader(chain, at))


def _get_balance(chain: Chain, params: Params) -> Json:
    key, at = params.pubkey(0), bank_for(chain, params.options(1))
    account = chain.state.account(key, at.level)
    return at.answer(0 if account is None else account.lamports)


def _get_account_info(chain: Chain, params: Params) -> Json:
    key, options = params.pubkey(0), params.options(1)
    at, form = bank_for(chain, options), form_of(options, "binary")
    return at.answer(_shown(chain, at, chain.state.account(key, at.level), form))


def _get_multiple_accounts(chain: Chain, params: Params) -> Json:
    raw, options = params.raw(0), params.options(1)
    if not isinstance(raw, list):
        raise invalid("the keys are not an array")
    if len(raw) > ACCOUNTS_MAX:
        raise invalid(f"Too many inputs provided; max {ACCOUNTS_MAX}")
    at, form = bank_for(chain, options), form_of(options, "base64")
    keys = [as_pubkey(text) for text in raw]
    return at.answer([_shown(chain, at, chain.state.account(key, at.level), form) for key in keys])


def filters_of(raw: Sequence[Json]) -> list[Filter]:
    """Filters of a scan: dataSize, memcmp, tokenAccountState. Raises RpcError."""
    return [_filter(row) for row in raw]


def _filter(row: Json) -> Filter:
    if row == "tokenAccountState":
        return lambda data: len(data) >= 165 and data[108] in (1, 2)
    if isinstance(row, dict) and "dataSize" in row:
        size = as_integer(row["dataSize"], "dataSize")
        return lambda data: len(data) == size
    if isinstance(row, dict) and isinstance(row.get("memcmp"), dict):
        memcmp = Options(row["memcmp"])
        offset = memcmp.integer("offset") or 0
        wanted = _memcmp_bytes(row["memcmp"].get("bytes"), memcmp.text("encoding"))
        return lambda data: data[offset : offset + len(wanted)] == wanted
    raise invalid("unknown filter")


def _memcmp_bytes(value: Json, encoding: str | None) -> bytes:
    try:
        if isinstance(value, list):
            wanted = bytes(value)
        elif isinstance(value, str) and encoding in (None, "base58", "binary"):
            wanted = base58.decode(value)
        else:
            raise invalid("unsupported memcmp encoding")
    except (TypeError, ValueError) as exc:
        raise invalid(f"memcmp bytes: {exc}") from exc
    if len(wanted) > _MEMCMP_BYTES_MAX:
        raise invalid(f"memcmp takes at most {_MEMCMP_BYTES_MAX} bytes")
    return wanted


def _scan(chain: Chain, at: At, program: Pubkey) -> Iterator[tuple[Pubkey, Account]]:
    found = chain.state.owned_by(program, at.level)
    for count, row in enumerate(found):
        if count == SCANNED_MAX:
            raise RpcError(SCAN_ERROR, f"over {SCANNED_MAX} accounts to scan")
        yield row


def _get_program_accounts(chain: Chain, params: Params) -> Json:
    program, options = params.pubkey(0), params.options(1)
    at, form = bank_for(chain, options), form_of(options, "binary")
    filters = filters_of(options.array("filters", _FILTERS_MAX))
    found = [
        {"account": _shown(chain, at, account, form), "pubkey": str(key)}
        for key, account in _scan(chain, at, program)
        if all(fits(bytes(account.data)) for fits in filters)
    ]
    return at.answer(found) if options.flag("withContext") else found


def _get_token_account_balance(chain: Chain, params: Params) -> Json:
    key, at = params.pubkey(0), bank_for(chain, params.options(1))
    account = chain.state.account(key, at.level)
    if account is None:
        raise invalid("could not find account")
    held = token_account(account)
    of = None if held is None else mint(chain.state.account(held.mint, at.level))
    if held is None or of is None:
        raise invalid("not a Token account")
    return at.answer(ui_amount(held.units, of.decimals))


def _get_token_supply(chain: Chain, params: Params) -> Json:
    key, at = params.pubkey(0), bank_for(chain, params.options(1))
    account = chain.state.account(key, at.level)
    if account is None:
        raise invalid("could not find account")
    of = mint(account)
    if of is None:
        raise invalid("not a Token mint")
    return at.answer(ui_amount(of.supply_units, of.decimals))


def _token_scan(
    chain: Chain, at: At, wanted_mint: Pubkey | None, programs: Sequence[Pubkey]
) -> Iterator[tuple[Pubkey, Account]]:
    for program in programs:
        for key, account in _scan(chain, at, program):
            held = token_account(account)
            if held is not None and wanted_mint in (None, held.mint):
                yield key, account


def _which_tokens(chain: Chain, at: At, wanted: Options) -> tuple[Pubkey | None, list[Pubkey]]:
    text, program = wanted.text("mint"), wanted.text("programId")
    if text is not None:
        key = as_pubkey(text)
        found = chain.state.account(key, at.level)
        if found is None or mint(found) is None:
            raise invalid("could not find mint")
        return key, [found.owner]
    if program is None:
        raise invalid("mint or programId is needed")
    owner = as_pubkey(program)
    if owner not in TOKEN_PROGRAMS:
        raise invalid("unrecognized Token program id")
    return None, [owner]


def _get_token_accounts_by_owner(chain: Chain, params: Params) -> Json:
    owner, wanted, options = params.pubkey(0), params.options(1), params.options(2)
    at, form = bank_for(chain, options), form_of(options, "binary")
    of_mint, programs = _which_tokens(chain, at, wanted)
    found = []
    for key, account in _token_scan(chain, at, of_mint, programs):
        held = token_account(account)
        if held is not None and held.owner == owner:
            found.append({"account": _shown(chain, at, account, form), "pubkey": str(key)})
    return at.answer(found)


def _get_token_largest_accounts(chain: Chain, params: Params) -> Json:
    key, at = params.pubkey(0), bank_for(chain, params.options(1))
    account = chain.state.account(key, at.level)
    of = mint(account)
    if account is None or of is None:
        raise invalid("could not find mint")
    rows = []
    for address, holder in _token_scan(chain, at, key, [account.owner]):
        held = token_account(holder)
        if held is not None:
            rows.append((held.units, str(address)))
    rows.sort(reverse=True)
    return at.answer(
        [
            {"address": address, **ui_amount(units, of.decimals)}
            for units, address in islice(rows, _LARGEST)
        ]
    )


def _get_rent(chain: Chain, params: Params) -> Json:
    size = params.integer(0)
    if size > 10 * 1024 * 1024:
        raise invalid("an account holds at most 10 MiB")
    return chain.state.svm.minimum_balance_for_rent_exemption(size)


METHODS: Methods = {
    "getBalance": _get_balance,
    "getAccountInfo": _get_account_info,
    "getMultipleAccounts": _get_multiple_accounts,
    "getProgramAccounts": _get_program_accounts,
    "getTokenAccountBalance": _get_token_account_balance,
    "getTokenSupply": _get_token_supply,
    "getTokenAccountsByOwner": _get_token_accounts_by_owner,
    "getTokenLargestAccounts": _get_token_largest_accounts,
    "getMinimumBalanceForRentExemption": _get_rent,
}
