"""btcd as the Bitcoin node: a regtest chain of its own, without peers.

btcd begins a regtest chain anew at every start. Its blocks are given back to it before others use
it, so a chain is kept over restarts (its mempool is not). Who is connected meanwhile sees the chain
grow from nothing: stop the agent before restarting the node under it.
"""

import hashlib
import secrets
from pathlib import Path
from typing import ClassVar

from coincurve import PrivateKey

from infra.local.authority import write_private
from infra.local.engine import Command, Engine, NotReady, tool_path
from infra.local.json_rpc import JsonRpc, RpcRefused
from infra.local.layout import LOOPBACK, Credentials
from infra.local.regtest_blocks import keep, kept_blocks, stored_blocks
from orion.chains.bitcoin.address import address_of
from orion.chains.bitcoin.network import network_of

_CONFIGURATION = """\
[Application Options]
regtest=1
datadir={data}/data
logdir={data}/logs
nolisten=1
nodnsseed=1
txindex=1
notls=1
rpclisten={host}:{port}
rpcuser={user}
rpcpass={password}
rpcmaxclients=50
rpcmaxwebsockets=50
miningaddr={address}
rejectnonstd=1
norelaypriority=1
"""


def witness_script(key: PrivateKey) -> bytes:
    """Output script that pays to `key`: version 0, 20-byte hash of its public key (BIP-141)."""
    digest = hashlib.sha256(key.public_key.format(compressed=True)).digest()
    return b"\x00\x14" + hashlib.new("ripemd160", digest).digest()


class Btcd(Engine):
    """The node. Its miner pays to the faucet's address, which is fixed at start."""

    name: ClassVar[str] = "btcd"
    ports: ClassVar[tuple[str, ...]] = ("btcd",)
    network: ClassVar[str] = "regtest"

    @property
    def rpc_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.host}:{self.port}/ws"

    @property
    def rpc(self) -> Credentials:
        return self._layout.credentials("btcd", "rpc")

    @property
    def client(self) -> JsonRpc:
        return JsonRpc(self.host, self.port, self.rpc)

    @property
    def faucet_key(self) -> PrivateKey:
        return PrivateKey(
            bytes.fromhex(self._layout.remember("btcd/faucet-key", lambda: secrets.token_hex(32)))
        )

    @property
    def faucet_script(self) -> bytes:
        """The output script of the faucet: P2WPKH (BIP-141)."""
        return witness_script(self.faucet_key)

    @property
    def faucet_address(self) -> str:
        found = address_of(self.faucet_script, network_of(self.network))
        if found is None:
            raise ValueError("a P2WPKH script has an address")
        return found

    @property
    def _archive(self) -> Path:
        return self.data / "kept.blocks"

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        folder = self.data / "data" / self.network / "blocks_ffldb"
        keep(stored_blocks(folder), self._archive)
        user = self.rpc
        write_private(
            self.data / "btcd.conf",
            _CONFIGURATION.format(
                data=self.data,
                host=LOOPBACK,
                port=self.port,
                user=user.username,
                password=user.password,
                address=self.faucet_address,
            ).encode(),
        )

    def command(self) -> Command:
        argv = (tool_path("btcd"), f"--configfile={self.data / 'btcd.conf'}")
        return Command(argv, cwd=self.data, env={"HOME": str(self.data)})

    def check(self) -> None:
        try:
            self.client.call("getblockcount", timeout_s=1)
        except (OSError, RpcRefused) as exc:
            raise NotReady(str(exc)) from exc

    def provision(self) -> None:
        for block in kept_blocks(self._archive):
            self.client.call("submitblock", block.hex())
