"""Coins for customers of the local chains, and the means to mine and to reorganise them."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from infra.local.anvil import Anvil
from infra.local.bitcoin_spend import Coin, signed_spend
from infra.local.btcd import Btcd
from infra.local.failure import StackFailure
from infra.local.json_rpc import number, record, sequence, text
from infra.local.stack import Stack
from orion.chains.bitcoin.address import parse_address
from orion.chains.bitcoin.hashing import display_hash
from orion.chains.bitcoin.wire import parse_block, parse_transaction
from orion.chains.ethereum.address import checksum_address
from orion.chains.ethereum.keccak import keccak256

# 50 coins of 50 BTC are spendable at height 150 (100 blocks of maturity).
_BITCOIN_BLOCKS_MIN = 150
_MATURITY_BLOCKS = 100
_FEE_SATS = 2_000
_RECEIPT_TIMEOUT_S = 10.0
_RECEIPT_POLL_S = 0.01
_DEPLOYER = "0x" + keccak256(b"orion-pay local token deployer")[12:].hex()
_TOKEN = Path(__file__).parent / "contracts" / "TetherLike.json"


@dataclass(frozen=True, slots=True)
class Funding:
    """A transaction that the faucet sent."""

    txid: str
    raw_hex: str


@dataclass(frozen=True, slots=True)
class _BlockCoins:
    """What one block did to the faucet: coins made, outpoints spent by anybody."""

    parent: str
    created: tuple[Coin, ...]
    spent: frozenset[tuple[str, int]]


class FaucetEmpty(StackFailure):
    """No matured coin is left."""


class BitcoinFaucet:
    """Spends the coinbases that the node's miner pays to the faucet."""

    def __init__(self, node: Btcd) -> None:
        self._node = node
        # What each known block created and spent, by block hash: a block never changes.
        self._blocks: dict[str, _BlockCoins] = {}

    def call(self, method: str, *params: object) -> object:
        """Any RPC of the node. Raises RpcRefused."""
        return self._node.client.call(method, *params)

    def prepare(self) -> None:
        """Mine until coins have matured; no-op on a chain that is long enough."""
        missing = _BITCOIN_BLOCKS_MIN - self.tip()[0]
        if missing > 0:
            self.mine(missing)

    def mine(self, count: int = 1) -> list[str]:
        """Mine blocks of what the mempool holds; their hashes in order."""
        return [text(value) for value in sequence(self.call("generate", count))]

    def tip(self) -> tuple[int, str]:
        """Height and hash of the best block."""
        best = record(self.call("getbestblock"))
        return number(best["height"]), text(best["hash"])

    def invalidate(self, block_hash: str) -> None:
        """Make the node leave `block_hash` and all above it; its transactions return to the
        mempool.
        """
        self.call("invalidateblock", block_hash)

    def reconsider(self, block_hash: str) -> None:
        """Undo `invalidate`."""
        self.call("reconsiderblock", block_hash)

    def fund(self, address: str, sats: int) -> Funding:
        """Send `sats` to `address`, unconfirmed. Raises FaucetEmpty, MalformedAddress."""
        script = parse_address(address, self._node.network).script
        coins: list[Coin] = []
        for coin in self._spendable():
            coins.append(coin)
            if sum(each.sats for each in coins) >= sats + _FEE_SATS:
                raw, txid = signed_spend(self._node.faucet_key, coins, script, sats, _FEE_SATS)
                self.call("sendrawtransaction", raw.hex())
                return Funding(txid, raw.hex())
        raise FaucetEmpty(f"the Bitcoin faucet cannot pay {sats} sats; to mend: mine blocks")

    def _spendable(self) -> list[Coin]:
        """Confirmed coins that nothing spends, in chain or mempool, the largest first."""
        tip_height, block_hash = self.tip()
        created: dict[tuple[str, int], Coin] = {}
        spent = self._spent_in_mempool()
        for height in range(tip_height, 0, -1):
            block = self._blocks.get(block_hash)
            if block is None:
                block = self._blocks[block_hash] = self._read(block_hash)
            matured = tip_height - height >= _MATURITY_BLOCKS
            created.update(
                {
                    (coin.txid, coin.vout): coin
                    for coin in block.created
                    if matured or not coin.coinbase
                }
            )
            spent |= block.spent
            block_hash = block.parent
        free = [coin for outpoint, coin in created.items() if outpoint not in spent]
        free.sort(key=lambda coin: (-coin.sats, coin.txid, coin.vout))
        return free

    def _spent_in_mempool(self) -> set[tuple[str, int]]:
        """Outpoints that waiting transactions spend; the node's `gettxout` does not know them."""
        spent: set[tuple[str, int]] = set()
        for txid in sequence(self.call("getrawmempool")):
            raw = bytes.fromhex(text(self.call("getrawtransaction", txid, 0)))
            spent.update(
                (display_hash(each.txid), each.index) for each in parse_transaction(raw).inputs
            )
        return spent

    def _read(self, block_hash: str) -> _BlockCoins:
        # The raw block: the node's JSON carries amounts as floats.
        header, transactions = parse_block(
            bytes.fromhex(text(self.call("getblock", block_hash, 0)))
        )
        ours = self._node.faucet_script
        created = tuple(
            Coin(transaction.display_id, index, output.value_sat, coinbase=position == 0)
            for position, transaction in enumerate(transactions)
            for index, output in enumerate(transaction.outputs)
            if output.script == ours
        )
        spent = frozenset(
            (display_hash(each.txid), each.index)
            for transaction in transactions[1:]
            for each in transaction.inputs
        )
        return _BlockCoins(display_hash(header.parent), created, spent)


class EthereumFaucet:
    """Sends from the account that the node funded, and owns the local USDT."""

    def __init__(self, node: Anvil) -> None:
        self._node = node

    def call(self, method: str, *params: object) -> object:
        """Any RPC of the node. Raises RpcRefused."""
        return self._node.rpc.call(method, *params)

    def mine(self, count: int = 1) -> None:
        """Mine `count` blocks, the first with what the pool holds."""
        self.call("anvil_mine", hex(count))

    def reorg(self, depth: int) -> None:
        """Replace the last `depth` blocks by as many empty ones."""
        self.call("anvil_reorg", depth, [])

    def fund(self, address: str, wei: int) -> str:
        """Send `wei` to `address`; the transaction's hash."""
        return self._send({"to": address, "value": hex(wei)})

    def mint(self, address: str, units: int) -> str:
        """Make `units` (millionths) of USDT for `address`; the transaction's hash."""
        recipient = int(address, 16).to_bytes(32, "big")
        data = keccak256(b"mint(address,uint256)")[:4] + recipient + units.to_bytes(32, "big")
        return self._send({"to": self.deploy_usdt(), "data": "0x" + data.hex()})

    def deploy_usdt(self) -> str:
        """The token's address (EIP-55), the same on every local chain; deploys it if it is not
        there.

        A contract's address follows from its deployer and the deployer's nonce: here one that
        nobody holds the key of, impersonated once, with nonce 0.
        """
        address = usdt_address()
        if self.call("eth_getCode", address, "latest") != "0x":
            return address
        owner = int(self._node.faucet_address, 16).to_bytes(32, "big")
        self.call("anvil_impersonateAccount", _DEPLOYER)
        self.call("anvil_setBalance", _DEPLOYER, hex(10**18))
        try:
            self._await(
                text(
                    self.call(
                        "eth_sendTransaction",
                        {
                            "from": _DEPLOYER,
                            "nonce": "0x0",
                            "data": text(token()["bytecode"]) + owner.hex(),
                        },
                    )
                )
            )
        finally:
            self.call("anvil_stopImpersonatingAccount", _DEPLOYER)
        if self.call("eth_getCode", address, "latest") == "0x":
            raise StackFailure("the local USDT was not deployed; to mend: read anvil's log")
        return address

    def _send(self, transaction: dict[str, object]) -> str:
        return text(
            self.call("eth_sendTransaction", {"from": self._node.faucet_address, **transaction})
        )

    def _await(self, transaction_hash: str) -> None:
        """Wait until the transaction is in a block; mines one if nothing else does."""
        self.call("anvil_mine", "0x1")
        deadline = time.monotonic() + _RECEIPT_TIMEOUT_S
        while self.call("eth_getTransactionReceipt", transaction_hash) is None:
            if time.monotonic() > deadline:
                raise StackFailure("anvil mines nothing; to mend: read its log")
            time.sleep(_RECEIPT_POLL_S)


def token() -> dict[str, object]:
    """Artifact of the local USDT: `abi` and `bytecode`."""
    return record(json.loads(_TOKEN.read_text()))


def usdt_address() -> str:
    """Where the token is on every local chain, with the checksum of EIP-55."""
    # RLP of [20 bytes, 0]: the list's header, the address's header, the address, the empty string.
    encoded = b"\xd6\x94" + bytes.fromhex(_DEPLOYER[2:]) + b"\x80"
    return checksum_address(keccak256(encoded)[12:])


def prepare(stack: Stack) -> None:
    """Step of the stack: matured Bitcoin coins and the USDT contract."""
    BitcoinFaucet(stack.btcd).prepare()
    EthereumFaucet(stack.anvil).deploy_usdt()
