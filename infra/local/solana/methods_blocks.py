"""Calls about blocks and blockhashes."""

from infra.local.solana.chain import Chain
from infra.local.solana.methods import Methods, bank_for, settled_level
from infra.local.solana.model import Block, Json, Level
from infra.local.solana.params import Options, Params, as_pubkey
from infra.local.solana.rpc_errors import (
    cleaned_up,
    invalid,
    not_available,
    skipped,
)
from infra.local.solana.state import BLOCKHASH_AGE_MAX
from infra.local.solana.ui_transactions import checked_encoding, ui_block

SLOT_RANGE_MAX = 500_000
_FEE_BLOCKS = 150
_LOCKED_ACCOUNTS_MAX = 128


def settled_block(chain: Chain, slot: int, level: Level) -> Block:
    """The block of `slot` at `level` or above. Raises RpcError as getBlock answers it."""
    state = chain.state
    first = state.history.first_slot
    if slot < first:
        raise cleaned_up(slot, first)
    block = state.history.block(slot)
    if slot <= state.root.slot:
        if block is None:
            raise skipped(slot)
        return block
    if block is None or slot > state.slot_at(level):
        raise not_available(slot)
    return block


def _get_block(chain: Chain, params: Params) -> Json:
    slot = params.integer(0)
    if params.has(1) and isinstance(params.raw(1), str):
        options, encoding = Options({}), checked_encoding(params.text(1))
    else:
        options = params.options(1)
        encoding = checked_encoding(options.text("encoding"))
    block = settled_block(chain, slot, settled_level(options))
    return ui_block(
        block,
        str(chain.state.leader),
        encoding=encoding,
        details=options.text("transactionDetails") or "full",
        rewards=options.given("rewards", default=True),
        version_max=options.integer("maxSupportedTransactionVersion"),
    )


def _get_blocks(chain: Chain, params: Params) -> Json:
    start = params.integer(0)
    at = 1 if params.has(1) and isinstance(params.raw(1), dict) else 2
    newest = chain.state.slot_at(settled_level(params.options(at)))
    end = params.integer(1) if at == 2 and params.has(1) else newest
    if end < start:
        return []
    if end - start > SLOT_RANGE_MAX:
        raise invalid(f"Slot range too large; max {SLOT_RANGE_MAX}")
    return list(chain.state.history.slots(start, min(end, newest)))


def _get_blocks_with_limit(chain: Chain, params: Params) -> Json:
    start, limit = params.integer(0), params.integer(1)
    if limit > SLOT_RANGE_MAX:
        raise invalid(f"Limit too large; max {SLOT_RANGE_MAX}")
    newest = chain.state.slot_at(settled_level(params.options(2)))
    return list(chain.state.history.slots(start, newest))[:limit]


def _get_block_time(chain: Chain, params: Params) -> Json:
    return settled_block(chain, params.integer(0), Level.CONFIRMED).time_s


def _get_first_available_block(chain: Chain, _: Params) -> Json:
    return chain.state.history.first_slot


def _get_latest_blockhash(chain: Chain, params: Params) -> Json:
    at = bank_for(chain, params.options(0))
    return at.answer(
        {
            "blockhash": chain.state.block_at(at.level).blockhash,
            "lastValidBlockHeight": chain.state.height_at(at.level) + BLOCKHASH_AGE_MAX,
        }
    )


def _is_blockhash_valid(chain: Chain, params: Params) -> Json:
    blockhash = str(as_pubkey(params.raw(0)))
    at = bank_for(chain, params.options(1))
    return at.answer(chain.state.is_recent(blockhash, at.level))


def _get_recent_prioritization_fees(chain: Chain, params: Params) -> Json:
    raw = params.raw(0) if params.has(0) else []
    if not isinstance(raw, list) or len(raw) > _LOCKED_ACCOUNTS_MAX:
        raise invalid(f"Too many inputs provided; max {_LOCKED_ACCOUNTS_MAX}")
    wanted = {str(as_pubkey(text)) for text in raw}
    newest = chain.state.slot_at(Level.CONFIRMED)
    return [
        {"prioritizationFee": _least_price(block, wanted), "slot": block.slot}
        for block in chain.state.history.newest(_FEE_BLOCKS)
        if block.slot <= newest
    ]


def _least_price(block: Block, wanted: set[str]) -> int:
    """Micro-lamports a unit of the cheapest transaction that names all of `wanted`."""
    prices = [done.compute_price_micro for done in block.transactions if wanted.issubset(done.keys)]
    return min(prices, default=0)


METHODS: Methods = {
    "getBlock": _get_block,
    "getBlocks": _get_blocks,
    "getBlocksWithLimit": _get_blocks_with_limit,
    "getBlockTime": _get_block_time,
    "getFirstAvailableBlock": _get_first_available_block,
    "minimumLedgerSlot": _get_first_available_block,
    "getLatestBlockhash": _get_latest_blockhash,
    "isBlockhashValid": _is_blockhash_valid,
    "getRecentPrioritizationFees": _get_recent_prioritization_fees,
}
