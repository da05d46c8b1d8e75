"""anvil as the Ethereum node: its own chain 31337, kept over restarts, served also on an IPC
socket.

A block is mined for each transaction; `evm_setAutomine` and `anvil_mine` change that by RPC.
"""

import signal
from pathlib import Path
from typing import ClassVar

from coincurve import PrivateKey

from infra.local.engine import Command, Engine, NotReady, tool_path
from infra.local.failure import EngineFailure
from infra.local.json_rpc import JsonRpc, RpcRefused
from infra.local.layout import LOOPBACK
from orion.chains.ethereum.address import checksum_address
from orion.chains.ethereum.keccak import keccak256

_DUMP_INTERVAL_S = 5
# sun_path of unix(7) holds 108 bytes with its final zero.
_SOCKET_PATH_BYTES_MAX = 107


def _fresh_mnemonic() -> str:
    from eth_account import Account  # Half a second of imports, needed once in a chain's life.

    Account.enable_unaudited_hdwallet_features()
    _, mnemonic = Account.create_with_mnemonic()
    return str(mnemonic)


def _first_key(mnemonic: str) -> str:
    """The key of m/44'/60'/0'/0/0, the first account that anvil funds."""
    from eth_account import Account

    Account.enable_unaudited_hdwallet_features()
    return "0x" + bytes(Account.from_mnemonic(mnemonic).key).hex()


class Anvil(Engine):
    """The node and its first account, which the faucet spends from."""

    name: ClassVar[str] = "anvil"
    ports: ClassVar[tuple[str, ...]] = ("anvil",)
    # Ends by dumping its state.
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    chain_id: ClassVar[int] = 31_337

    @property
    def http_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    @property
    def ipc_path(self) -> Path:
        return self.data / "anvil.ipc"

    @property
    def rpc(self) -> JsonRpc:
        return JsonRpc(self.host, self.port)

    @property
    def _mnemonic(self) -> str:
        return self._layout.remember("anvil/mnemonic", _fresh_mnemonic)

    @property
    def faucet_private_key(self) -> str:
        """0x and 64 hex digits."""
        return self._layout.remember("anvil/faucet-key", lambda: _first_key(self._mnemonic))

    @property
    def faucet_address(self) -> str:
        """With the mixed-case checksum of EIP-55."""
        key = PrivateKey(bytes.fromhex(self.faucet_private_key.removeprefix("0x")))
        public = key.public_key.format(compressed=False)[1:]
        return checksum_address(keccak256(public)[12:])

    def prepare(self) -> None:
        if len(str(self.ipc_path).encode()) > _SOCKET_PATH_BYTES_MAX:
            raise EngineFailure(
                self.name,
                f"the path of its socket {self.ipc_path} is too long",
                mend="choose a shorter folder with --var",
            )
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.ipc_path.unlink(missing_ok=True)

    def command(self) -> Command:
        argv = (
            tool_path("anvil"),
            "--host",
            LOOPBACK,
            "--port",
            str(self.port),
            "--chain-id",
            str(self.chain_id),
            "--ipc",
            str(self.ipc_path),
            "--mnemonic",
            self._mnemonic,
            "--state",
            str(self.data / "state.json"),
            "--state-interval",
            str(_DUMP_INTERVAL_S),
            "--preserve-historical-states",
        )
        return Command(argv, cwd=self.data, env={"HOME": str(self.data)})

    def check(self) -> None:
        try:
            found = self.rpc.call("eth_chainId", timeout_s=1)
        except (OSError, RpcRefused) as exc:
            raise NotReady(str(exc)) from exc
        if found != hex(self.chain_id):
            raise NotReady("another server answers on its port")
        if not self.ipc_path.exists():
            raise NotReady("its IPC socket is not there")

    def provision(self) -> None:
        # The socket's mode follows the umask; agents insist on 0600.
        self.ipc_path.chmod(0o600)
