"""A call's surroundings and answers with a context."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from infra.local.solana.chain import Chain
from infra.local.solana.model import Json, Level
from infra.local.solana.params import Options, Params
from infra.local.solana.rpc_errors import MIN_CONTEXT_SLOT_NOT_REACHED, RpcError, invalid

# Not a release of Agave: says what answers.
CORE_VERSION = "3.0.0-litesvm"

Method = Callable[[Chain, Params], Json]
Methods = Mapping[str, Method]


@dataclass(frozen=True, slots=True)
class At:
    """The bank that a call reads."""

    level: Level
    slot: int

    def answer(self, value: Json) -> Json:
        """A value with the slot at which it holds."""
        return {"context": {"apiVersion": CORE_VERSION, "slot": self.slot}, "value": value}


def bank_for(chain: Chain, options: Options, name: str = "commitment") -> At:
    """The bank of the wanted commitment. Raises RpcError when it is behind minContextSlot."""
    level = options.level(name=name)
    slot = chain.state.slot_at(level)
    wanted = options.integer("minContextSlot")
    if wanted is not None and wanted > slot:
        raise RpcError(
            MIN_CONTEXT_SLOT_NOT_REACHED,
            "Minimum context slot has not been reached",
            {"contextSlot": slot},
        )
    return At(level, slot)


def settled_level(options: Options) -> Level:
    """The commitment of a call about history. Raises RpcError for processed."""
    level = options.level()
    if level is Level.PROCESSED:
        raise invalid("Method does not support commitment below `confirmed`")
    return level
