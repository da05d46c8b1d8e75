"""What each system contract does, apart from smart contracts: java-tron's actuators.

Source: developers.tron.network "HTTP API" and "Staking on TRON Network"; the refusals' words follow
java-tron's actuators.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from infra.local.tron import addresses
from infra.local.tron.accounts import (
    Account,
    Unstaking,
    account_key,
    read_account,
    write_account,
)
from infra.local.tron.parameters import CHAIN, SUN_PER_TRX
from infra.local.tron.permissions import validate_update
from infra.local.tron.refusals import Code, Refused, invalid
from infra.local.tron.resources import TOTALS_KEY, Receipt, burn, totals
from infra.local.tron.schema import RESOURCES
from infra.local.tron.state import Session, dump
from infra.local.tron.wire import Message, number, octets, truth

_DAY_MS = 86_400_000
_UNSTAKINGS_MAX = 32


@dataclass(frozen=True, slots=True)
class Context:
    """The block that is being made; `slot` is that of its parent, by which resources recover."""

    height: int
    time_ms: int
    slot: int


Actuator = Callable[[Session, Message, Context, Receipt], None]


def _owner(session: Session, contract: Message) -> Account:
    address = octets(contract, "owner_address")
    if not addresses.is_address(address):
        raise invalid("Invalid address")
    account = read_account(session, address)
    if account is None:
        raise invalid(f"Account[{addresses.shown(address, visible=True)}] not exists")
    return account


def activate(session: Session, address: bytes, context: Context) -> Account:
    """A new account without balance."""
    account = Account(address.hex(), created_ms=context.time_ms)
    write_account(session, account)
    return account


def _transfer(session: Session, contract: Message, context: Context, receipt: Receipt) -> None:
    sender, recipient = octets(contract, "owner_address"), octets(contract, "to_address")
    amount = number(contract, "amount")
    if not addresses.is_address(sender):
        raise invalid("Invalid ownerAddress!")
    if not addresses.is_address(recipient):
        raise invalid("Invalid toAddress!")
    if sender == recipient:
        raise invalid("Cannot transfer TRX to yourself.")
    owner = read_account(session, sender)
    if owner is None:
        raise invalid("Validate TransferContract error, no OwnerAccount.")
    if amount <= 0:
        raise invalid("Amount must be greater than 0.")
    to = read_account(session, recipient)
    if to is not None and to.contract:
        raise invalid("Cannot transfer TRX to a smartContract.")
    fee = CHAIN["getCreateNewAccountFeeInSystemContract"] if to is None else 0
    if owner.balance < amount + fee:
        raise invalid("Validate TransferContract error, balance is not sufficient.")
    if to is None:
        to = activate(session, recipient, context)
    burn(owner, fee)
    receipt.other_fee += fee
    owner.balance -= amount
    to.balance += amount
    write_account(session, owner)
    write_account(session, to)


def _create_account(
    session: Session, contract: Message, context: Context, receipt: Receipt
) -> None:
    owner = _owner(session, contract)
    address = octets(contract, "account_address")
    if not addresses.is_address(address):
        raise invalid("Invalid account address")
    if session.get(account_key(address)) is not None:
        raise invalid("Account has existed")
    fee = CHAIN["getCreateNewAccountFeeInSystemContract"]
    if owner.balance < fee:
        raise invalid("Validate CreateAccountActuator error, insufficient fee.")
    burn(owner, fee)
    receipt.other_fee += fee
    write_account(session, owner)
    activate(session, address, context)


def _update_permissions(
    session: Session, contract: Message, context: Context, receipt: Receipt
) -> None:
    account = read_account(session, octets(contract, "owner_address"))
    if account is None:
        raise invalid("ownerAddress account does not exist")
    owner, actives = validate_update(contract)
    fee = CHAIN["getUpdateAccountPermissionFee"]
    if account.balance < fee:
        # java-tron finds out only while it executes.
        raise Refused(Code.CONTRACT_EXE_ERROR, f"{account.address} insufficient balance")
    burn(account, fee)
    receipt.other_fee += fee
    account.set_permissions(owner, actives)
    account.operated_ms = context.time_ms
    write_account(session, account)


def _resource(contract: Message) -> int:
    resource = number(contract, "resource")
    if resource not in {0, 1}:
        raise invalid(f"ResourceCode error, valid ResourceCode[{', '.join(RESOURCES.values())}]")
    return resource


def _count_stake(session: Session, resource: int, amount: int) -> None:
    name = "energy" if resource == 1 else "net"
    record = totals(session)
    before = record[name]
    record[name] = (before if isinstance(before, int) else 0) + amount
    session.put(TOTALS_KEY, dump(record))


def _freeze(session: Session, contract: Message, _context: Context, _receipt: Receipt) -> None:
    account, resource = _owner(session, contract), _resource(contract)
    amount = number(contract, "frozen_balance")
    if amount <= 0:
        raise invalid("frozenBalance must be positive")
    if amount < SUN_PER_TRX:
        raise invalid("frozenBalance must be greater than or equal to 1 TRX")
    if amount > account.balance:
        raise invalid("frozenBalance must be less than or equal to accountBalance")
    account.balance -= amount
    account.stake(resource).own += amount
    _count_stake(session, resource, amount)
    write_account(session, account)


def _unfreeze(session: Session, contract: Message, context: Context, _receipt: Receipt) -> None:
    account, resource = _owner(session, contract), _resource(contract)
    amount = number(contract, "unfreeze_balance")
    if not 0 < amount <= account.stake(resource).own:
        raise invalid(f"Invalid unfreeze_balance, [{amount}] is error")
    _withdraw_ripe(account, context)
    if len(account.unstaking) >= _UNSTAKINGS_MAX:
        raise invalid("Invalid unfreeze operation, unfreezing times is over limit")
    account.stake(resource).own -= amount
    until_ms = context.time_ms + CHAIN["getUnfreezeDelayDays"] * _DAY_MS
    account.unstaking.append(Unstaking(resource, amount, until_ms))
    _count_stake(session, resource, -amount)
    write_account(session, account)


def _withdraw_ripe(account: Account, context: Context) -> int:
    ripe = [one for one in account.unstaking if one.until_ms <= context.time_ms]
    account.unstaking = [one for one in account.unstaking if one not in ripe]
    amount = sum(one.amount for one in ripe)
    account.balance += amount
    return amount


def _withdraw(session: Session, contract: Message, context: Context, _receipt: Receipt) -> None:
    account = _owner(session, contract)
    if _withdraw_ripe(account, context) == 0:
        raise invalid("no unFreeze balance to withdraw ")
    write_account(session, account)


def _delegation_key(owner: Account, receiver: Account, resource: int) -> str:
    return f"delegation/{owner.address}/{receiver.address}/{resource}"


def _delegated(session: Session, key: str) -> int:
    return int(session.get(key) or "0")


def _receiver(session: Session, contract: Message, owner: Account) -> Account:
    address = octets(contract, "receiver_address")
    if not addresses.is_address(address):
        raise invalid("Invalid receiverAddress")
    if address == owner.raw_address:
        raise invalid("receiverAddress must not be the same as ownerAddress")
    receiver = read_account(session, address)
    if receiver is None:
        raise invalid(f"Account[{addresses.shown(address, visible=True)}] not exists")
    if receiver.contract:
        raise invalid("Do not allow delegate resources to contract addresses")
    return receiver


def _delegate(session: Session, contract: Message, _context: Context, _receipt: Receipt) -> None:
    owner, resource = _owner(session, contract), _resource(contract)
    receiver = _receiver(session, contract, owner)
    amount = number(contract, "balance")
    if amount < SUN_PER_TRX:
        raise invalid("delegateBalance must be greater than or equal to 1 TRX")
    if amount > owner.stake(resource).own:
        name = "Energy" if resource == 1 else "Bandwidth"
        raise invalid(
            f"delegateBalance must be less than or equal to available Freeze{name}V2 balance"
        )
    if truth(contract, "lock"):
        raise invalid("this stand-in does not model locked delegations")
    owner.stake(resource).own -= amount
    owner.stake(resource).delegated += amount
    receiver.stake(resource).acquired += amount
    key = _delegation_key(owner, receiver, resource)
    session.put(key, str(_delegated(session, key) + amount))
    write_account(session, owner)
    write_account(session, receiver)


def _undelegate(session: Session, contract: Message, _context: Context, _receipt: Receipt) -> None:
    owner, resource = _owner(session, contract), _resource(contract)
    receiver = _receiver(session, contract, owner)
    amount = number(contract, "balance")
    key = _delegation_key(owner, receiver, resource)
    if amount <= 0:
        raise invalid("unDelegateBalance must be more than 0 TRX")
    if amount > _delegated(session, key):
        raise invalid("insufficient delegatedFrozenBalance, request=" + str(amount))
    owner.stake(resource).own += amount
    owner.stake(resource).delegated -= amount
    receiver.stake(resource).acquired -= amount
    session.put(key, str(_delegated(session, key) - amount))
    write_account(session, owner)
    write_account(session, receiver)


ACTUATORS: Mapping[str, Actuator] = MappingProxyType(
    {
        "TransferContract": _transfer,
        "AccountCreateContract": _create_account,
        "AccountPermissionUpdateContract": _update_permissions,
        "FreezeBalanceV2Contract": _freeze,
        "UnfreezeBalanceV2Contract": _unfreeze,
        "WithdrawExpireUnfreezeContract": _withdraw,
        "DelegateResourceContract": _delegate,
        "UnDelegateResourceContract": _undelegate,
    }
)
