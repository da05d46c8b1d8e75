"""The EVM: a private anvil process that executes calls and changes nothing by itself.

The chain's own state is the truth. anvil holds a copy of the head state (balances in sun as if they
were wei, code, storage); what is not in a block yet travels with each call as state overrides. The
differences that a call makes come back from its trace, and the chain decides whether they count.
"""

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.tron import addresses
from infra.local.tron.energy import Step, energy_of
from infra.local.tron.state import Session

_LOOPBACK = "127.0.0.1"
_TIMEOUT_S = 60.0
_READY_TIMEOUT_S = 20.0
_BATCH = 500
# Above this much gas the steps are too many to look at; gas then stands for energy.
_TRACED_GAS_MAX = 2_000_000
_WORD = "0x" + 64 * "0"
_INTRINSIC, _ZERO_BYTE, _OTHER_BYTE = 21_000, 4, 16


class EvmFailed(Exception):
    """anvil does not answer or refuses what we ask; the server cannot go on."""


@dataclass(frozen=True, slots=True)
class Call:
    """One execution. `code` replaces the target's code, which is how a constructor runs."""

    caller: bytes
    target: bytes
    data: bytes
    value: int
    energy_limit: int
    height: int
    time_s: int
    code: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened, and what would change."""

    error: str
    output: bytes
    energy: int
    logs: Sequence[Mapping[str, object]] = ()
    internal: Sequence[Mapping[str, object]] = ()
    balances: Mapping[bytes, int] = field(default_factory=dict)
    codes: Mapping[bytes, str] = field(default_factory=dict)
    storage: Mapping[bytes, Mapping[str, str]] = field(default_factory=dict)


def code_key(address: bytes) -> str:
    """Where the state keeps a contract's code, as hex."""
    return f"code/{address.hex()}"


def slot_key(address: bytes, slot: str) -> str:
    """Where the state keeps a word of storage, as hex of 32 bytes."""
    return f"storage/{address.hex()}/{slot}"


class Evm:
    """A client of one anvil process."""

    def __init__(self, anvil: str, port: int, folder: Path, chain_id: int) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=_TIMEOUT_S)
        words = [anvil, "--host", _LOOPBACK, "--port", str(port), "--chain-id", str(chain_id)]
        words += ["--no-mining", "--accounts", "0", "--hardfork", "cancun", "--silent"]
        words += ["--base-fee", "0", "--gas-price", "0", "--gas-limit", "1000000000000"]
        words += ["--code-size-limit", "1000000"]
        self._process = subprocess.Popen(
            words, cwd=folder, env={**os.environ, "HOME": str(folder)}, stdin=subprocess.DEVNULL
        )

    def wait(self) -> None:
        """Return when anvil answers. Raises EvmFailed."""
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self._send([("eth_chainId", ())])
                return
            except (OSError, http.client.HTTPException):
                self._connection.close()
                time.sleep(0.02)
        raise EvmFailed("anvil does not start")

    def stop(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.terminate()
        self._process.wait()

    def _send(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        body = json.dumps(
            [
                {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
                for index, (method, params) in enumerate(calls)
            ]
        )
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answers = json.loads(self._connection.getresponse().read())
        results = []
        for answer in answers:
            if "error" in answer:
                raise EvmFailed(str(answer["error"].get("message")))
            results.append(answer["result"])
        return results

    def _ask(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        try:
            return self._send(calls)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise EvmFailed(f"anvil does not answer ({exc})") from exc

    def settle(self, changes: Iterable[tuple[str, str | None]]) -> None:
        """Bring anvil's copy to the head state: balances, code and storage among `changes`."""
        waiting: list[tuple[str, Sequence[object]]] = []
        for key, value in changes:
            kind, *rest = key.split("/")
            target = addresses.evm(bytes.fromhex(rest[0])) if kind in _KINDS else ""
            if kind == "account":
                waiting.append(("anvil_setBalance", (target, hex(_balance(value)))))
            elif kind == "code":
                waiting.append(("anvil_setCode", (target, "0x" + (value or ""))))
            elif kind == "storage":
                word = _WORD if value is None else "0x" + value
                waiting.append(("anvil_setStorageAt", (target, "0x" + rest[1], word)))
            if len(waiting) >= _BATCH:
                self._ask(waiting)
                waiting = []
        if waiting:
            self._ask(waiting)

    def run(self, session: Session, call: Call) -> Outcome:
        """Execute over the head state with the session's changes; nothing is kept."""
        charge = _INTRINSIC + sum(_OTHER_BYTE if octet else _ZERO_BYTE for octet in call.data)
        # Gas runs out faster than energy (a cold SLOAD costs 2,100 and not 50), so it gets more.
        gas = charge + 4 * call.energy_limit + 1_000_000
        transaction = {
            "from": addresses.evm(call.caller),
            "to": addresses.evm(call.target),
            "data": "0x" + call.data.hex(),
            "value": hex(call.value),
            "gas": hex(gas),
            "gasPrice": "0x0",
        }
        options: dict[str, object] = {
            "stateOverrides": _overrides(session, call),
            "blockOverrides": {"number": hex(call.height), "time": hex(call.time_s)},
        }
        frame, change = self._ask(
            [
                _traced(transaction, options, "callTracer", {"withLog": True}),
                _traced(transaction, options, "prestateTracer", {"diffMode": True}),
            ]
        )
        used = int(frame["gasUsed"], 16) - charge
        error = str(frame.get("error", ""))
        if used <= _TRACED_GAS_MAX and error in {"", "execution reverted"}:
            used = self._energy(transaction, options)
        logs: list[Mapping[str, object]] = []
        internal: list[Mapping[str, object]] = []
        if not error:
            _collect(frame, logs, internal, top=True)
        return _outcome(call, frame, change, error, max(0, used), logs, internal)

    def _energy(self, transaction: Mapping[str, object], options: Mapping[str, object]) -> int:
        plain = {**options, "enableMemory": False, "enableReturnData": False}
        plain["disableStorage"] = True
        (trace,) = self._ask([("debug_traceCall", (transaction, "latest", plain))])
        return energy_of(
            [
                Step(step["op"], step["gas"], step["gasCost"], step["depth"], step["stack"])
                for step in trace["structLogs"]
            ]
        )


_KINDS = frozenset({"account", "code", "storage"})


def _traced(
    transaction: Mapping[str, object],
    options: Mapping[str, object],
    tracer: str,
    configuration: Mapping[str, object],
) -> tuple[str, Sequence[object]]:
    more = {**options, "tracer": tracer, "tracerConfig": configuration}
    return "debug_traceCall", (transaction, "latest", more)


def _balance(account: str | None) -> int:
    return 0 if account is None else int(json.loads(account)["balance"])


def _overrides(session: Session, call: Call) -> dict[str, dict[str, object]]:
    """What the session knows and anvil does not."""
    out: dict[str, dict[str, object]] = {}
    for key, value in session.unwritten().items():
        kind, *rest = key.split("/")
        if kind not in _KINDS:
            continue
        entry = out.setdefault(addresses.evm(bytes.fromhex(rest[0])), {})
        if kind == "account":
            entry["balance"] = hex(_balance(value))
        elif kind == "code":
            entry["code"] = "0x" + (value or "")
        else:
            words = entry.setdefault("stateDiff", {})
            if isinstance(words, dict):
                words["0x" + rest[1]] = _WORD if value is None else "0x" + value
    if call.code is not None:
        out.setdefault(addresses.evm(call.target), {})["code"] = "0x" + call.code.hex()
    return out


def _collect(
    frame: Mapping[str, Any],
    logs: list[Mapping[str, object]],
    internal: list[Mapping[str, object]],
    *,
    top: bool,
) -> None:
    """Logs in their order, and the calls that contracts made; reverted frames left out."""
    if not top:
        internal.append(
            {
                "caller_address": addresses.from_evm(frame["from"]).hex(),
                "transferTo_address": addresses.from_evm(frame.get("to") or "0x").hex(),
                "callValueInfo": [_value_of(frame)],
                "note": str(frame["type"]).lower().encode().hex(),
            }
        )
    # A log's position is the number of calls that its frame had made before it.
    found = sorted(frame.get("logs", ()), key=lambda log: int(log["index"], 16))
    calls = [one for one in frame.get("calls", ()) if not one.get("error")]
    positions = [int(log["position"], 16) for log in found]
    for at in range(len(frame.get("calls", ())) + 1):
        for log, position in zip(found, positions, strict=True):
            if position == at:
                logs.append(
                    {
                        "address": log["address"].removeprefix("0x"),
                        "topics": [topic.removeprefix("0x") for topic in log["topics"]],
                        "data": log["data"].removeprefix("0x"),
                    }
                )
        if at < len(frame.get("calls", ())) and frame["calls"][at] in calls:
            _collect(frame["calls"][at], logs, internal, top=False)


def _value_of(frame: Mapping[str, Any]) -> dict[str, object]:
    value = int(frame.get("value", "0x0"), 16)
    return {"callValue": value} if value else {}


def _outcome(
    call: Call,
    frame: Mapping[str, Any],
    change: Mapping[str, Any],
    error: str,
    energy: int,
    logs: Sequence[Mapping[str, object]],
    internal: Sequence[Mapping[str, object]],
) -> Outcome:
    output = bytes.fromhex(str(frame.get("output", "0x")).removeprefix("0x"))
    if error:
        return Outcome(error, output, energy)
    balances: dict[bytes, int] = {}
    codes: dict[bytes, str] = {}
    storage: dict[bytes, dict[str, str]] = {}
    for words in {*change["pre"], *change["post"]}:
        address = addresses.from_evm(words)
        before, after = change["pre"].get(words, {}), change["post"].get(words)
        if after is None:
            balances[address] = 0
            continue
        if "balance" in after:
            balances[address] = int(after["balance"], 16)
        if "code" in after and address != call.target:
            codes[address] = after["code"].removeprefix("0x")
        slots = {
            slot.removeprefix("0x"): _WORD.removeprefix("0x") for slot in before.get("storage", {})
        }
        for slot, word in after.get("storage", {}).items():
            slots[slot.removeprefix("0x")] = word.removeprefix("0x").rjust(64, "0")
        if slots:
            storage[address] = slots
    return Outcome("", output, energy, logs, internal, balances, codes, storage)
