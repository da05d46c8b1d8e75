"""Energy of an execution: the EVM's steps priced with Tron's table instead of Ethereum's gas.

Most instructions cost the same on both. Those that differ are priced here from the trace of
debug_traceCall (structLogs of Ethereum's Cancun rules, without the charge for a transaction).
Source of the prices: java-tron's EnergyCost; TIP-174 and TIP-272 for later instructions.
Not modelled: memory that a CALL itself makes grow, what a failed inner call loses beyond its steps,
precompiled contracts' own prices (Ethereum's are taken), the dynamic energy model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

CREATED_BYTE = 200
_FIXED = {
    "SLOAD": 50,
    "BALANCE": 20,
    "EXTCODESIZE": 20,
    "EXTCODEHASH": 400,
    "SELFDESTRUCT": 0,
    "CREATE": 32_000,
    "STATICCALL": 40,
    "DELEGATECALL": 40,
}
_SSTORE_SET, _SSTORE_OTHER = 20_000, 5_000
_CALL, _VALUE_CALL, _STIPEND, _NEW_ACCOUNT = 40, 9_000, 2_300, 25_000
_CALLS = ("CALL", "CALLCODE", "DELEGATECALL", "STATICCALL")
_PRECOMPILED_MAX = 0x0A
# Ethereum's price of reaching an account, first and later (EIP-2929).
_COLD, _WARM = 2_600, 100


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: what Ethereum charged, the gas before it, and the top of the stack last."""

    op: str
    gas: int
    gas_cost: int
    depth: int
    stack: Sequence[str]

    def operand(self, index: int) -> int:
        """The value `index` places below the top; 0 when the stack is not so deep."""
        return int(self.stack[-1 - index], 16) if index < len(self.stack) else 0


def energy_of(steps: Sequence[Step]) -> int:
    """The energy that all steps cost together."""
    total = 0
    creating: set[int] = set()
    for index, step in enumerate(steps):
        after = steps[index + 1] if index + 1 < len(steps) else None
        enters = after is not None and after.depth > step.depth
        if step.op in {"CREATE", "CREATE2"} and enters:
            creating.add(step.depth + 1)
        if after is None or after.depth < step.depth:
            if step.depth in creating and step.op == "RETURN":
                total += CREATED_BYTE * step.operand(1)
            creating.discard(step.depth)
        total += _price(step, after, enters=enters)
    return total


def _price(step: Step, after: Step | None, *, enters: bool) -> int:
    if step.op in _CALLS:
        return _price_of_call(step, after, enters=enters)
    if step.op in _FIXED:
        return _FIXED[step.op]
    match step.op:
        case "SSTORE":
            return _SSTORE_SET if step.gas_cost >= _SSTORE_SET else _SSTORE_OTHER
        case "EXP":
            # 10 for each byte of the exponent, where Ethereum charges 50.
            return 10 + (step.gas_cost - 10) // 5
        case "EXTCODECOPY":
            return step.gas_cost - (_COLD if step.gas_cost >= _COLD else _WARM) + 20
        case "CREATE2":
            return _FIXED["CREATE"] + 6 * -(-step.operand(2) // 32)
        case _:
            return step.gas_cost


def _price_of_call(step: Step, after: Step | None, *, enters: bool) -> int:
    pays = step.op in {"CALL", "CALLCODE"} and step.operand(2) != 0
    # The callee's unspent stipend comes back to the caller, as on Ethereum.
    price = _CALL + (_VALUE_CALL - _STIPEND if pays else 0)
    if enters or after is None or after.depth != step.depth:
        return price
    spent = step.gas - after.gas - (_VALUE_CALL - _STIPEND if pays else 0)
    if 0 < step.operand(1) <= _PRECOMPILED_MAX:
        return price + max(0, spent - _WARM)
    if pays and spent >= _NEW_ACCOUNT:
        price += _NEW_ACCOUNT
    return price
