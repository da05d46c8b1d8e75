"""Accounts: balance, stakes, usage and permissions, as records of the state."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from infra.local.tron import addresses
from infra.local.tron.json_form import to_json
from infra.local.tron.parameters import DEFAULT_OPERATIONS
from infra.local.tron.schema import PERMISSION
from infra.local.tron.state import Session, View, dump
from infra.local.tron.wire import Message, decode, encode


@dataclass(slots=True)
class Usage:
    """What was used of one resource, as of `slot`; `decay` in resources.py brings it forward."""

    used: int = 0
    slot: int = 0


@dataclass(slots=True)
class Stake:
    """Amounts in sun behind one resource. `own` includes nothing that is delegated away."""

    own: int = 0
    delegated: int = 0
    acquired: int = 0

    @property
    def counted(self) -> int:
        """What the owner's own limit is made of."""
        return self.own + self.acquired


@dataclass(slots=True)
class Unstaking:
    """An unstaked amount in sun, which can be withdrawn from `until_ms` on."""

    resource: int
    amount: int
    until_ms: int


@dataclass(slots=True)
class Account:
    """One account; `address` of 21 bytes as hex, amounts in sun, permissions as protobuf hex."""

    address: str
    balance: int = 0
    contract: bool = False
    created_ms: int = 0
    operated_ms: int = 0
    free_net: Usage = field(default_factory=Usage)
    net: Usage = field(default_factory=Usage)
    energy: Usage = field(default_factory=Usage)
    for_net: Stake = field(default_factory=Stake)
    for_energy: Stake = field(default_factory=Stake)
    unstaking: list[Unstaking] = field(default_factory=list)
    owner: str = ""
    actives: list[str] = field(default_factory=list)

    def stake(self, resource: int) -> Stake:
        """The stake behind resource 0 (bandwidth) or 1 (energy)."""
        return self.for_energy if resource == 1 else self.for_net

    @property
    def raw_address(self) -> bytes:
        return bytes.fromhex(self.address)

    def owner_permission(self) -> Message:
        """Id 0; the account's own key alone until it is updated."""
        if self.owner:
            return decode(PERMISSION, bytes.fromhex(self.owner))
        return _single("owner", self.raw_address, {"type": 0})

    def active_permissions(self) -> list[Message]:
        """Ids from 2 on."""
        if self.actives:
            return [decode(PERMISSION, bytes.fromhex(one)) for one in self.actives]
        return [
            _single(
                "active", self.raw_address, {"type": 2, "id": 2, "operations": DEFAULT_OPERATIONS}
            )
        ]

    def permission(self, permission_id: int) -> Message | None:
        """The permission of that id."""
        if permission_id == 0:
            return self.owner_permission()
        for one in self.active_permissions():
            if one.get("id") == permission_id:
                return one
        return None

    def set_permissions(self, owner: Message, actives: list[Message]) -> None:
        """Replace all permissions; ids are given here: 0, then from 2 on."""
        self.owner = encode(PERMISSION, {**owner, "id": 0}).hex()
        self.actives = [
            encode(PERMISSION, {**one, "id": 2 + index}).hex() for index, one in enumerate(actives)
        ]


def _single(name: str, key: bytes, more: Message) -> Message:
    return {
        **more,
        "permission_name": name,
        "threshold": 1,
        "keys": [{"address": key, "weight": 1}],
    }


def account_key(address: bytes) -> str:
    """Where the state keeps an account."""
    return f"account/{address.hex()}"


def read_account(view: View, address: bytes) -> Account | None:
    """The account, None when it was never activated."""
    found = view.get(account_key(address))
    return None if found is None else account_from(found)


def account_from(text: str) -> Account:
    """The account that `text` of the state describes."""
    record: dict[str, Any] = json.loads(text)
    for name in ("free_net", "net", "energy"):
        record[name] = Usage(**record[name])
    for name in ("for_net", "for_energy"):
        record[name] = Stake(**record[name])
    record["unstaking"] = [Unstaking(**one) for one in record["unstaking"]]
    return Account(**record)


def write_account(session: Session, account: Account) -> None:
    """Store `account` in the session."""
    session.put(account_key(account.raw_address), dump(asdict(account)))


def shown_account(account: Account, *, visible: bool) -> dict[str, object]:
    """The answer of getaccount; defaults are left out as protobuf does."""

    def permission(message: Message) -> dict[str, object]:
        return to_json(PERMISSION, message, visible=visible)

    staked: list[dict[str, object]] = [
        {"amount": account.for_net.own} if account.for_net.own else {},
        {
            "type": "ENERGY",
            **({"amount": account.for_energy.own} if account.for_energy.own else {}),
        },
        {"type": "TRON_POWER"},
    ]
    energy: dict[str, object] = {
        "energy_usage": account.energy.used,
        "latest_consume_time_for_energy": account.energy.slot,
        "delegated_frozenV2_balance_for_energy": account.for_energy.delegated,
        "acquired_delegated_frozenV2_balance_for_energy": account.for_energy.acquired,
    }
    out: dict[str, object] = {
        "address": addresses.shown(account.raw_address, visible=visible),
        "type": "Contract" if account.contract else 0,
        "balance": account.balance,
        "create_time": account.created_ms,
        "latest_opration_time": account.operated_ms,
        "net_usage": account.net.used,
        "latest_consume_time": account.net.slot,
        "free_net_usage": account.free_net.used,
        "latest_consume_free_time": account.free_net.slot,
        "delegated_frozenV2_balance_for_bandwidth": account.for_net.delegated,
        "acquired_delegated_frozenV2_balance_for_bandwidth": account.for_net.acquired,
        "account_resource": {name: value for name, value in energy.items() if value},
        "unfrozenV2": [
            {
                **({"type": "ENERGY"} if one.resource == 1 else {}),
                "unfreeze_amount": one.amount,
                "unfreeze_expire_time": one.until_ms,
            }
            for one in account.unstaking
        ],
    }
    shown = {name: value for name, value in out.items() if value}
    if not account.contract:
        shown["owner_permission"] = permission(account.owner_permission())
        shown["active_permission"] = [permission(one) for one in account.active_permissions()]
        shown["frozenV2"] = staked
    return shown
