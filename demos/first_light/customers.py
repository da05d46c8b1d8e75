"""Three customers with wallets that are not ours: bdk for Bitcoin, a plain web3 account for
Ethereum.
"""

import time
from decimal import Decimal
from typing import Any, Protocol, cast

import bdkpython as bdk
from eth_account import Account
from web3 import Web3

from infra.local import Stack
from infra.local.faucet import BitcoinFaucet, EthereumFaucet

FEE_RATE_SAT_VB = 2
SATS_PER_BTC = 100_000_000
ERC20_ABI: list[dict[str, Any]] = [
    {
        "type": "function",
        "name": "transfer",
        "stateMutability": "nonpayable",
        "inputs": [{"name": "to", "type": "address"}, {"name": "value", "type": "uint256"}],
        "outputs": [],  # As the real USDT: no return value.
    },
    {
        "type": "function",
        "name": "balanceOf",
        "stateMutability": "view",
        "inputs": [{"name": "owner", "type": "address"}],
        "outputs": [{"name": "", "type": "uint256"}],
    },
]


class Customer(Protocol):
    """Someone who pays an amount to an address, and can see the chain for themselves."""

    asset: str

    def fund(self, amount: str) -> None:
        """Get enough coins to pay `amount` and the network's fee."""
        ...

    def pay(self, address: str, amount: str) -> str:
        """Send exactly `amount`; the transaction's id. Not mined yet."""
        ...

    def mine(self, count: int) -> None:
        """Let the network find `count` blocks."""
        ...

    def chain_balance(self, address: str) -> str:
        """What the chain says lies at `address`, as a decimal string in whole coins."""
        ...


def units(amount: str, decimals: int) -> int:
    """A decimal text as whole units; the story's own reading, independent of the product's."""
    whole, _, fraction = amount.partition(".")
    return int(whole + fraction.ljust(decimals, "0"))


def text(count: int, decimals: int) -> str:
    """Whole units as a decimal text with all places."""
    digits = str(count).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


class BitcoinCustomer:
    """A bdk wallet. It has no node: it learns of its coins from the funding transaction."""

    asset = "BTC.bitcoin"

    def __init__(self, stack: Stack) -> None:
        self._faucet = BitcoinFaucet(stack.btcd)
        secret = bdk.DescriptorSecretKey(
            bdk.NetworkKind.TEST, bdk.Mnemonic(bdk.WordCount.WORDS12), None
        )
        self._wallet = bdk.Wallet(
            bdk.Descriptor.new_bip84(secret, bdk.KeychainKind.EXTERNAL, bdk.NetworkKind.TEST),
            bdk.Descriptor.new_bip84(secret, bdk.KeychainKind.INTERNAL, bdk.NetworkKind.TEST),
            bdk.Network.REGTEST,
            bdk.Persister.new_in_memory(),
        )
        self._payments: list[str] = []

    def fund(self, amount: str) -> None:
        """One coin of the amount and 0.001 BTC for fees, mined."""
        own = self._wallet.reveal_next_address(bdk.KeychainKind.EXTERNAL).address
        funding = self._faucet.fund(str(own), units(amount, 8) + 100_000)
        self._faucet.mine(1)
        coin = bdk.Transaction(bytes.fromhex(funding.raw_hex))
        self._wallet.apply_unconfirmed_txs([bdk.UnconfirmedTx(tx=coin, last_seen=int(time.time()))])

    def pay(self, address: str, amount: str) -> str:
        """Build, sign and broadcast."""
        script = bdk.Address(address, bdk.Network.REGTEST).script_pubkey()
        psbt = (
            bdk.TxBuilder()
            .add_recipient(script, bdk.Amount.from_sat(units(amount, 8)))
            .fee_rate(bdk.FeeRate.from_sat_per_vb(FEE_RATE_SAT_VB))
            .finish(self._wallet)
        )
        self._wallet.sign(psbt)
        raw = bytes(psbt.extract_tx().serialize()).hex()
        txid = str(self._faucet.call("sendrawtransaction", raw))
        self._payments.append(txid)
        return txid

    def mine(self, count: int) -> None:
        """Mined by the node's own miner."""
        self._faucet.mine(count)

    def chain_balance(self, address: str) -> str:
        """Sum of the node's unspent outputs of our payments that pay `address`."""
        total = 0
        for txid in self._payments:
            for number in range(2):
                output = self._faucet.call("gettxout", txid, number, False)
                if output is None:
                    continue
                found = cast(dict[str, Any], output)
                if address in found["scriptPubKey"].get("addresses", []):
                    # The node's JSON number has at most 8 places; repr gives them back exactly.
                    total += int(Decimal(repr(found["value"])) * SATS_PER_BTC)
        return text(total, 8)


class EtherCustomer:
    """A plain account that signs with eth_account and speaks to the node through web3."""

    asset = "ETH.ethereum"

    def __init__(self, stack: Stack) -> None:
        self._faucet = EthereumFaucet(stack.anvil)
        self._web3 = Web3(Web3.HTTPProvider(stack.anvil.http_url))
        self._account = Account.create()

    def fund(self, amount: str) -> None:
        """The amount and 0.1 ETH for gas."""
        self._faucet.fund(self._account.address, units(amount, 18) + 10**17)
        self._faucet.mine(1)

    def pay(self, address: str, amount: str) -> str:
        """A plain value transfer."""
        to = Web3.to_checksum_address(address)
        return self._send({"to": to, "value": units(amount, 18), "gas": 21_000, "data": b""})

    def mine(self, count: int) -> None:
        """Mined by the node."""
        self._faucet.mine(count)

    def chain_balance(self, address: str) -> str:
        """The node's own number."""
        return text(self._web3.eth.get_balance(Web3.to_checksum_address(address)), 18)

    def _send(self, fields: dict[str, Any]) -> str:
        gas_price = self._web3.eth.gas_price
        signed = self._account.sign_transaction(
            {
                "chainId": self._web3.eth.chain_id,
                "nonce": self._web3.eth.get_transaction_count(self._account.address),
                "maxFeePerGas": 2 * gas_price,
                "maxPriorityFeePerGas": min(gas_price, 10**9),
                "type": 2,
                **fields,
            }
        )
        return self._web3.eth.send_raw_transaction(signed.raw_transaction).to_0x_hex()


class TetherCustomer(EtherCustomer):
    """The same account with a token that, like the real USDT, returns nothing from `transfer`."""

    asset = "USDT.ethereum"

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self._token = self._web3.eth.contract(
            address=Web3.to_checksum_address(self._faucet.deploy_usdt()), abi=ERC20_ABI
        )

    def fund(self, amount: str) -> None:
        """The amount in tokens, and some ETH for gas."""
        super().fund("0")
        self._faucet.mint(self._account.address, units(amount, 6))
        self._faucet.mine(1)

    def pay(self, address: str, amount: str) -> str:
        """A token transfer."""
        to = Web3.to_checksum_address(address)
        data = self._token.encode_abi("transfer", [to, units(amount, 6)])
        return self._send({"to": self._token.address, "value": 0, "gas": 120_000, "data": data})

    def chain_balance(self, address: str) -> str:
        """The token contract's own number."""
        owner = Web3.to_checksum_address(address)
        return text(int(self._token.functions.balanceOf(owner).call()), 6)
