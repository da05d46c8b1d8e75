"""`python -m infra.local.tron --data DIR --port N --evm-port N --anvil PATH --faucet HEX`."""

import argparse
import os
import secrets
import signal
import sys
import threading
from pathlib import Path

from coincurve import PrivateKey

from infra.local.authority import write_private
from infra.local.tron.addresses import is_address
from infra.local.tron.chain import SOLID_DISTANCE, Chain, Genesis
from infra.local.tron.evm import Evm, EvmFailed
from infra.local.tron.server import Server
from infra.local.tron.state import Store

_TICK_S = 0.05
_POLL_S = 0.5


def _witness(data: Path) -> PrivateKey:
    path = data / "witness.key"
    if not path.exists():
        write_private(path, secrets.token_hex(32).encode())
    return PrivateKey(bytes.fromhex(path.read_text()))


def _produce(chain: Chain, stopping: threading.Event, server: Server) -> None:
    """Make blocks by the clock, while an interval is set."""
    while not stopping.wait(_TICK_S):
        interval_ms = _interval_of(chain)
        if interval_ms == 0:
            continue
        if stopping.wait(max(0.0, interval_ms / 1000 - _TICK_S)):
            return
        try:
            chain.mine()
        except EvmFailed as exc:
            server.fail(f"the EVM failed: {exc}")
            return


def _interval_of(chain: Chain) -> int:
    with chain.lock:
        return chain.interval_ms


def _fail(reason: str) -> None:
    """The copy of the state inside the EVM may differ from ours now; a restart makes a new one."""
    sys.stderr.write(f"tron: {reason}\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="infra.local.tron", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--evm-port", type=int, required=True)
    parser.add_argument("--anvil", required=True)
    parser.add_argument("--faucet", type=bytes.fromhex, required=True)
    parser.add_argument("--solid-distance", type=int, default=SOLID_DISTANCE)
    chosen = parser.parse_args()
    if not is_address(chosen.faucet):
        parser.error("--faucet is an address of 21 bytes in hex")
    store = Store(chosen.data / "state.db")
    chain = Chain(
        store, Genesis(_witness(chosen.data), chosen.faucet), solid_distance=chosen.solid_distance
    )
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    evm = Evm(chosen.anvil, chosen.evm_port, chosen.data, chain.chain_id)
    try:
        evm.wait()
        chain.attach(evm)
        server = Server(chosen.port, chain, _fail)
        threading.Thread(target=server.serve_forever, args=(_POLL_S,), daemon=True).start()
        producer = threading.Thread(target=_produce, args=(chain, stopping, server), daemon=True)
        producer.start()
        stopping.wait()
        server.shutdown()
        with chain.lock:  # No block is half written when the process ends.
            store.close()
    finally:
        evm.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
