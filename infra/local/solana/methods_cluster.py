"""Calls about the node, its slots and epochs, and the stand-in's own `local_` calls."""

from collections.abc import Callable

from infra.local.solana.chain import ADVANCE_MAX, Chain
from infra.local.solana.methods import CORE_VERSION, Methods, bank_for
from infra.local.solana.model import Json, Level
from infra.local.solana.params import Params, as_integer
from infra.local.solana.rpc_errors import invalid
from infra.local.solana.state import SLOTS_PER_EPOCH, ForkRefused

INTERVAL_MS_MAX = 3_600_000


def _get_version(_: Chain, __: Params) -> Json:
    return {"feature-set": 0, "solana-core": CORE_VERSION}


def _get_health(_: Chain, __: Params) -> Json:
    return "ok"


def _get_identity(chain: Chain, _: Params) -> Json:
    return {"identity": str(chain.state.leader)}


def _get_genesis_hash(chain: Chain, _: Params) -> Json:
    return chain.genesis_hash


def _get_slot(chain: Chain, params: Params) -> Json:
    return bank_for(chain, params.options(0)).slot


def _get_block_height(chain: Chain, params: Params) -> Json:
    return chain.state.height_at(bank_for(chain, params.options(0)).level)


def _get_epoch_info(chain: Chain, params: Params) -> Json:
    at = bank_for(chain, params.options(0))
    return {
        "absoluteSlot": at.slot,
        "blockHeight": chain.state.height_at(at.level),
        "epoch": at.slot // SLOTS_PER_EPOCH,
        "slotIndex": at.slot % SLOTS_PER_EPOCH,
        "slotsInEpoch": SLOTS_PER_EPOCH,
        "transactionCount": None,
    }


def _get_epoch_schedule(_: Chain, __: Params) -> Json:
    return {
        "firstNormalEpoch": 0,
        "firstNormalSlot": 0,
        "leaderScheduleSlotOffset": SLOTS_PER_EPOCH,
        "slotsPerEpoch": SLOTS_PER_EPOCH,
        "warmup": False,
    }


def _count(params: Params, least: int) -> int:
    count = params.integer(0) if params.has(0) else 1
    if not least <= count <= ADVANCE_MAX:
        raise invalid(f"a count from {least} to {ADVANCE_MAX}")
    return count


def _advance(chain: Chain, params: Params) -> Json:
    chain.advance(_count(params, 1))
    return chain.state.open.slot


def _skip(chain: Chain, params: Params) -> Json:
    chain.skip(_count(params, 1))
    return chain.state.open.slot


def _fork(chain: Chain, params: Params) -> Json:
    try:
        dropped = chain.fork(_count(params, 0))
    except ForkRefused as exc:
        raise invalid(str(exc)) from exc
    return {"dropped": [done.signature for done in dropped], "slot": chain.state.open.slot}


def clock_method(change: Callable[[int], None]) -> Callable[[Chain, Params], Json]:
    """`local_clock`: milliseconds between slots from now on, 0 stops the clock."""

    def set_clock(_: Chain, params: Params) -> Json:
        interval_ms = as_integer(params.raw(0), "interval")
        if interval_ms > INTERVAL_MS_MAX:
            raise invalid(f"at most {INTERVAL_MS_MAX} ms")
        change(interval_ms)
        return interval_ms

    return set_clock


def _status(chain: Chain, _: Params) -> Json:
    return {
        "faucet": str(chain.faucet.pubkey()),
        "slots": {level.value: chain.state.slot_at(level) for level in Level},
        "unfinalBlocks": chain.state.unfinal_blocks,
    }


METHODS: Methods = {
    "getVersion": _get_version,
    "getHealth": _get_health,
    "getIdentity": _get_identity,
    "getGenesisHash": _get_genesis_hash,
    "getSlot": _get_slot,
    "getBlockHeight": _get_block_height,
    "getEpochInfo": _get_epoch_info,
    "getEpochSchedule": _get_epoch_schedule,
    "local_advance": _advance,
    "local_skip": _skip,
    "local_fork": _fork,
    "local_status": _status,
}
