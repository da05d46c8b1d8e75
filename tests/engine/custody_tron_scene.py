"""A group's 3-of-5 account on the Tron engine, with plain keys in the place of KMS."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coincurve import PrivateKey

from infra.local.tron_node import TronNode
from orion.chains.spend import CustodyAccount, CustodyKeys, CustodyPlace, WalletKind
from orion.chains.tron import building, creation, custody
from orion.chains.tron.address import address_of
from orion.chains.tron.permissions import ACTIVE_PERMISSION_ID, address_of_key
from orion.chains.tron.raw_data import Frame, digest
from orion.chains.tron.signed import transaction
from tests.engine.tron_scene import TRX, Judge, Keyed, refusal

VALID_MS = 60_000
FEE_LIMIT = 30 * TRX
_TOKEN = Path(__file__).parents[2] / "infra" / "local" / "contracts" / "TetherLike.json"


def public(key: PrivateKey) -> bytes:
    """The compressed public key."""
    return bytes(key.public_key.format())


def sign(key: PrivateKey, unsigned: bytes) -> bytes:
    """65 bytes r, s (low), recovery id, over the transaction's id."""
    return bytes(key.sign_recoverable(digest(unsigned), hasher=None))


def set_of(keys: Sequence[PrivateKey]) -> CustodyKeys:
    """The custody set of five keys; its Ed25519 half plays no part on Tron."""
    return CustodyKeys(tuple(public(key) for key in keys), tuple(bytes([n]) * 32 for n in range(5)))


@dataclass(frozen=True, slots=True)
class Vault:
    """A 3-of-5 account, the key that named it, and its custodians' keys in order."""

    judge: Judge
    account: CustodyAccount
    named_by: PrivateKey
    keys: tuple[PrivateKey, ...]

    @property
    def node(self) -> TronNode:
        return self.judge.node

    def transfer(self, to: str, amount: int, permission: int = ACTIVE_PERMISSION_ID) -> bytes:
        """Unsigned TRX payment."""
        return building.transfer(self.account.address, to, amount, frame(self.node), permission)

    def token_transfer(
        self,
        token: str,
        to: str,
        units: int,
        *,
        permission: int = ACTIVE_PERMISSION_ID,
        fee_limit: int = FEE_LIMIT,
    ) -> bytes:
        """Unsigned token payment."""
        return building.token_transfer(
            self.account.address, token, to, units, fee_limit, frame(self.node), permission
        )

    def signatures(self, unsigned: bytes, *custodians: int) -> dict[int, tuple[bytes, ...]]:
        """What those custodians answer, by number."""
        return {number: (sign(self.keys[number - 1], unsigned),) for number in custodians}

    def assembled(self, unsigned: bytes, *custodians: int) -> bytes:
        """Signed by those custodians, at least three."""
        return custody.assemble(unsigned, self.account, self.signatures(unsigned, *custodians))

    def balance(self) -> int:
        """Sun at the head."""
        return self.judge.balance(self.account.address)


def frame(node: TronNode, valid_ms: int = VALID_MS) -> Frame:
    """On the head block, times counted from it: no clock but the chain's."""
    block = node.call("/wallet/getnowblock")
    header = block["block_header"]
    assert isinstance(header, dict)
    head_ms = int(header["raw_data"]["timestamp"])
    return Frame.on(bytes.fromhex(str(block["blockID"])), head_ms, head_ms + valid_ms)


def broadcast(node: TronNode, signed: bytes) -> dict[str, Any]:
    """The answer of broadcasthex."""
    return node.call("/wallet/broadcasthex", {"transaction": signed.hex()})


def accepted(node: TronNode, signed: bytes) -> str:
    """Broadcast, put into a block; the txid."""
    answer = broadcast(node, signed)
    assert answer["result"] is True, answer
    node.mine()
    return str(answer["txid"])


def refused(node: TronNode, signed: bytes) -> str:
    """The words of the refusal."""
    answer = broadcast(node, signed)
    assert answer["result"] is False, answer
    return f"{answer['code']}: {answer['message']}"


def info(node: TronNode, txid: str) -> dict[str, Any]:
    """What gettransactioninfobyid tells."""
    return node.call("/wallet/gettransactioninfobyid", {"value": txid})


def activated(judge: Judge, balance: int = 2_000 * TRX) -> Vault:
    """An account with TRX that its own key still rules."""
    named_by, keys = PrivateKey(), tuple(PrivateKey() for _ in range(5))
    place = CustodyPlace("tron", "private", 0, WalletKind.HOT, 1)
    anchor = address_of_key(public(named_by))
    answer = judge.pay(judge.faucet, anchor, balance)
    assert answer.get("result") is True, refusal(answer)
    judge.node.mine()
    return Vault(judge, custody.account(place, set_of(keys), anchor), named_by, keys)


def handed_over(judge: Judge, balance: int = 2_000 * TRX) -> Vault:
    """An account that any three of its custodians rule."""
    vault = activated(judge, balance)
    unsigned = creation.handover(vault.account, frame(vault.node))
    signature = sign(vault.named_by, unsigned)
    signed = creation.assemble_handover(unsigned, vault.account, public(vault.named_by), signature)
    accepted(vault.node, signed)
    return vault


def with_keys(vault: Vault, keys: Sequence[PrivateKey]) -> Vault:
    """The same account as it is described after a rotation."""
    account = custody.account(vault.account.place, set_of(keys), vault.account.anchor)
    return Vault(vault.judge, account, vault.named_by, tuple(keys))


def signed_by(unsigned: bytes, *keys: PrivateKey) -> bytes:
    """A whole transaction with those signatures, whatever they are worth."""
    return transaction(unsigned, [sign(key, unsigned) for key in keys])


@dataclass(frozen=True, slots=True)
class Token:
    """A token like Tether's: it answers nothing."""

    judge: Judge
    address: str
    abi: Any

    @property
    def contracts(self) -> dict[str, str]:
        """The network's tokens, with another chain's beside ours."""
        return {"USDT.tron": self.address, "USDT.ethereum": "0x" + 20 * "ab"}

    def mint(self, to: str, units: int) -> None:
        """Make units."""
        parameters = [{"type": "address", "value": to}, {"type": "uint256", "value": units}]
        faucet = self.judge.faucet
        options = {"feeLimit": 100 * TRX}
        built = self.judge.ask(
            "builder",
            "triggerSmartContract",
            self.address,
            "mint(address,uint256)",
            options,
            parameters,
            faucet.address,
        )
        answer = self.judge.send(built["transaction"], faucet.key)
        assert answer.get("result") is True, refusal(answer)
        self.judge.node.mine()

    def units(self, address: str) -> int:
        """Balance at the head."""
        return int(self.judge.ask("contract", "view", self.abi, self.address, "balanceOf", address))


def deploy_token(judge: Judge) -> Token:
    """A token of the faucet's."""
    compiled = json.loads(_TOKEN.read_text())
    faucet: Keyed = judge.faucet
    wanted = {
        "abi": compiled["abi"],
        "bytecode": compiled["bytecode"].removeprefix("0x"),
        "feeLimit": 1_000 * TRX,
        "userFeePercentage": 100,
        "originEnergyLimit": 10_000_000,
        "name": "T",
        "parameters": [faucet.address],
    }
    built = judge.ask("builder", "createSmartContract", wanted, faucet.address)
    answer = judge.send(built, faucet.key)
    assert answer.get("result") is True, refusal(answer)
    judge.node.mine()
    told = str(judge.info(answer["txid"])["contract_address"])
    return Token(judge, address_of(bytes.fromhex(told)[1:]), compiled["abi"])
