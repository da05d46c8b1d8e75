"""Safes of custody sets on a real Ethereum node, with keys that the tests hold."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, cast

from coincurve import PrivateKey
from web3 import Web3

from infra.local.anvil import Anvil
from infra.local.contracts.safe import artifact, deploy_safe
from infra.local.faucet import EthereumFaucet
from orion.chains.ethereum import creation, custody
from orion.chains.ethereum.abi import address_text
from orion.chains.ethereum.executor import assemble_execution, decode_execution
from orion.chains.ethereum.safe_account import owner_of
from orion.chains.ethereum.transaction import FeeMarketTransaction
from orion.chains.spend import CustodyAccount, CustodyKeys, CustodyPlace, Payment, WalletKind

ETH = "ETH.ethereum"
USDT = "USDT.ethereum"
ETHER = 10**18
GWEI = 10**9
_GAS = 4_000_000

_numbers = count(1)


def key(label: str) -> PrivateKey:
    """A private key, the same for the same label."""
    return PrivateKey(hashlib.sha256(f"orion test {label}".encode()).digest())


def fresh_address() -> str:
    """An address that nothing was paid to yet."""
    return address_text(hashlib.sha256(f"recipient {next(_numbers)}".encode()).digest()[:20])


def address_of(private: PrivateKey) -> str:
    """The address of a key in the form of records."""
    return address_text(owner_of(private.public_key.format()))


@dataclass(frozen=True)
class Custodians:
    """Five private keys and the set that they are."""

    privates: tuple[PrivateKey, ...]
    set_no: int = 1

    @property
    def keys(self) -> CustodyKeys:
        # A Safe has no use for the keys on the other curve.
        other = tuple(hashlib.sha256(each.secret).digest() for each in self.privates)
        return CustodyKeys(tuple(each.public_key.format() for each in self.privates), other)

    def account(self, group_no: int, network: str = "31337", anchor: str = "") -> CustodyAccount:
        place = CustodyPlace("ethereum", network, group_no, WalletKind.HOT, self.set_no)
        return custody.account(place, self.keys, anchor)

    def replaced(self, changes: Mapping[int, PrivateKey]) -> "Custodians":
        """The next set: new keys for some custodians, by number."""
        privates = list(self.privates)
        for custodian, private in changes.items():
            privates[custodian - 1] = private
        return Custodians(tuple(privates), self.set_no + 1)

    def sign(
        self, messages: tuple[bytes, ...], custodians: Iterable[int]
    ) -> dict[int, tuple[bytes, ...]]:
        """What these custodians answer."""
        return {
            each: tuple(
                self.privates[each - 1].sign_recoverable(message, hasher=None)
                for message in messages
            )
            for each in custodians
        }


def custodians(label: str) -> Custodians:
    """A set of five keys."""
    return Custodians(tuple(key(f"{label} {number}") for number in range(1, 6)))


class SafeScene:
    """A node with the Safe contracts and USDT, and an executor with coins."""

    def __init__(self, node: Anvil) -> None:
        self.node = node
        self.faucet = EthereumFaucet(node)
        deploy_safe(node)
        self.contracts = {USDT: self.faucet.deploy_usdt()}
        self.web3 = Web3(Web3.HTTPProvider(node.http_url))
        self.executor = key("executor")
        self.faucet.fund(address_of(self.executor), 100 * ETHER)

    def account(self, set_of: Custodians, ether: int = 0, usdt: int = 0) -> CustodyAccount:
        """A new Safe on the chain, made by the executor, with `ether` wei and `usdt` units."""
        account = set_of.account(next(_numbers))
        receipt = self.execute(creation.factory_address(), creation.creation_call(account), account)
        assert receipt["status"] == 1
        if ether:
            self.faucet.fund(account.address, ether)
        if usdt:
            self.faucet.mint(account.address, usdt)
        return account

    def contract(self, account: CustodyAccount) -> Any:
        """The Safe as web3 sees it, through the published ABI."""
        abi = cast(Any, artifact("SafeL2.sol/SafeL2.json")["abi"])
        return self.web3.eth.contract(Web3.to_checksum_address(account.address), abi=abi)

    def pay(
        self, account: CustodyAccount, set_of: Custodians, who: Iterable[int], *payments: Payment
    ) -> Mapping[str, Any]:
        """Propose, decode, sign, assemble and execute; the receipt."""
        nonce = self.nonce(account)
        unsigned = custody.propose_payments(account, nonce, payments, self.contracts)
        return self.carry(account, set_of, who, unsigned)

    def carry(
        self, account: CustodyAccount, set_of: Custodians, who: Iterable[int], unsigned: bytes
    ) -> Mapping[str, Any]:
        """Decode, sign, assemble and execute an unsigned transaction; the receipt."""
        spend = custody.decode(unsigned, account, self.contracts)
        call = custody.assemble(unsigned, account, set_of.sign(spend.messages, who))
        return self.execute(account.address, call, account)

    def nonce(self, account: CustodyAccount) -> int:
        """The Safe's next nonce."""
        return int(self.contract(account).functions.nonce().call())

    def execution(self, to: str, data: bytes, fee_gwei: int = 30) -> FeeMarketTransaction:
        """The executor's next transaction."""
        sender = Web3.to_checksum_address(address_of(self.executor))
        nonce = self.web3.eth.get_transaction_count(sender)
        chain_id = self.node.chain_id
        return FeeMarketTransaction(chain_id, nonce, GWEI, fee_gwei * GWEI, _GAS, to, 0, data)

    def execute(self, to: str, data: bytes, account: CustodyAccount) -> Mapping[str, Any]:
        """Send as the executor, as far as it lets itself be used; the receipt."""
        unsigned = self.execution(to, data).encode()
        execution = decode_execution(unsigned, {account.address})
        signature = self.executor.sign_recoverable(execution.digest, hasher=None)
        return self.send(assemble_execution(unsigned, signature))

    def send(self, raw: bytes) -> Mapping[str, Any]:
        """Broadcast; the receipt."""
        return self.web3.eth.wait_for_transaction_receipt(
            self.web3.eth.send_raw_transaction(raw), timeout=10, poll_latency=0.01
        )

    def send_anything(self, to: str, data: bytes) -> Mapping[str, Any]:
        """Send from an account that asks no questions; the receipt."""
        transaction = {"from": self.node.faucet_address, "to": Web3.to_checksum_address(to)}
        sent = self.web3.eth.send_transaction(
            cast(Any, {**transaction, "data": data, "gas": _GAS, "gasPrice": 30 * GWEI})
        )
        return self.web3.eth.wait_for_transaction_receipt(sent, timeout=10, poll_latency=0.01)

    def wei(self, address: str) -> int:
        """Coins of an address."""
        return int(self.web3.eth.get_balance(Web3.to_checksum_address(address)))

    def usdt(self, address: str) -> int:
        """Units of the local USDT."""
        abi = [
            {
                "name": "balanceOf",
                "type": "function",
                "stateMutability": "view",
                "inputs": [{"name": "who", "type": "address"}],
                "outputs": [{"name": "", "type": "uint256"}],
            }
        ]
        token = self.web3.eth.contract(Web3.to_checksum_address(self.contracts[USDT]), abi=abi)
        return int(token.functions.balanceOf(Web3.to_checksum_address(address)).call())

    def found(self, account: CustodyAccount) -> creation.FoundSafe:
        """What the node answers about the account's address."""
        place = Web3.to_checksum_address(account.address)

        def word(slot: int) -> bytes:
            return bytes(self.web3.eth.get_storage_at(place, slot))

        def answer(data: bytes) -> bytes:
            return bytes(self.web3.eth.call({"to": place, "data": cast(Any, data)}))

        return creation.FoundSafe(
            code=bytes(self.web3.eth.get_code(place)),
            singleton=word(creation.SINGLETON_SLOT),
            threshold=word(creation.THRESHOLD_SLOT),
            fallback_handler=word(creation.FALLBACK_SLOT),
            guard=word(creation.GUARD_SLOT),
            owners=answer(creation.OWNERS_CALL),
            modules=answer(creation.MODULES_CALL),
        )


def rotated(account: CustodyAccount, next_set: Custodians) -> CustodyAccount:
    """The same Safe as the next set's account."""
    place = replace(account.place, set_no=next_set.set_no)
    return custody.account(place, next_set.keys, custody.rotated_anchor(account))
