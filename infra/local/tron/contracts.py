"""Smart contracts: creation and calls, the energy they may use, and who pays for it.

A constructor runs as the code of the address that the contract will have, and what it returns
becomes that address's code. Source: java-tron's VMActuator; developers.tron.network "Smart
Contract", "FAQ: fee limit".
"""

from dataclasses import dataclass

from infra.local.tron import addresses
from infra.local.tron.accounts import Account, read_account, write_account
from infra.local.tron.actuators import Context, activate
from infra.local.tron.energy import CREATED_BYTE
from infra.local.tron.evm import Call, Evm, Outcome, code_key, slot_key
from infra.local.tron.parameters import CHAIN
from infra.local.tron.refusals import invalid
from infra.local.tron.resources import (
    Receipt,
    Sharing,
    caller_energy,
    origin_energy,
    pay_energy,
)
from infra.local.tron.schema import SMART_CONTRACT
from infra.local.tron.state import Session, View
from infra.local.tron.wire import Message, decode, encode, number, octets, part, text

CONSTANT_ENERGY_MAX = 100_000_000
_NAME_LENGTH_MAX = 32
_SUCCESS, _REVERT, _OUT_OF_ENERGY = "SUCCESS", "REVERT", "OUT_OF_ENERGY"
# anvil's words for how an execution ended, and contractResult of core/Tron.proto.
_ENDINGS = (
    ("execution reverted", _REVERT),
    ("out of gas", _OUT_OF_ENERGY),
    ("invalid opcode", "ILLEGAL_OPERATION"),
    ("invalid jump", "BAD_JUMP_DESTINATION"),
    ("stackunderflow", "STACK_TOO_SMALL"),
    ("stackoverflow", "STACK_TOO_LARGE"),
)
# contractResult's numbers, which stand in a transaction's `ret`.
RESULTS = {
    "DEFAULT": 0,
    _SUCCESS: 1,
    _REVERT: 2,
    "BAD_JUMP_DESTINATION": 3,
    "STACK_TOO_SMALL": 6,
    "STACK_TOO_LARGE": 7,
    "ILLEGAL_OPERATION": 8,
    _OUT_OF_ENERGY: 10,
    "UNKNOWN": 13,
}


@dataclass(frozen=True, slots=True)
class Executed:
    """How a smart contract ended; `result` is a word of contractResult."""

    result: str
    energy: int
    outcome: Outcome
    address: bytes

    @property
    def message(self) -> str:
        """The words of resMessage, empty after success."""
        if self.result == _SUCCESS:
            return ""
        if self.result == _REVERT:
            return "REVERT opcode executed"
        if self.result == _OUT_OF_ENERGY:
            return "Not enough energy for the operation executing"
        return f"the execution ended with {self.result}"


@dataclass(frozen=True, slots=True)
class Order:
    """What to execute: a contract message with the transaction's id and fee limit."""

    kind: str
    contract: Message
    txid: bytes
    fee_limit: int


def contract_key(address: bytes) -> str:
    """Where the state keeps what a contract's creator said about it."""
    return f"contract/{address.hex()}"


def read_contract(view: View, address: bytes) -> Message | None:
    """The SmartContract message of an address."""
    found = view.get(contract_key(address))
    return None if found is None else decode(SMART_CONTRACT, bytes.fromhex(found))


def execute(
    evm: Evm, session: Session, order: Order, context: Context, receipt: Receipt
) -> Executed:
    """Run, keep what it changed if it succeeded, and charge its energy in any case.

    Raises Refused for what never gets into a block.
    """
    caller = _caller(session, order)
    deploys = order.kind == "CreateSmartContract"
    call_value, about = _about(session, order, caller)
    sharing = Sharing(
        number(about, "consume_user_resource_percent"), number(about, "origin_energy_limit")
    )
    origin_address = octets(about, "origin_address")
    shared = not deploys and origin_address != caller.raw_address and sharing.percent < 100
    origin = read_account(session, origin_address) if shared else None
    limit = caller_energy(
        session, caller, fee_limit=order.fee_limit, call_value=call_value, slot=context.slot
    )
    if origin is not None:
        limit += origin_energy(session, origin, sharing, limit, context.slot)
    executed = run(evm, session, order, context, limit)
    if executed.result == _SUCCESS:
        _keep(session, order, executed, about, context)
        caller = _caller(session, order)
        origin = read_account(session, origin_address) if shared else None
    receipt.result = executed.result
    pay_energy(session, caller, origin, sharing, executed.energy, context.slot, receipt)
    if origin is not None:
        write_account(session, origin)
    write_account(session, caller)
    return executed


def run(evm: Evm, session: Session, order: Order, context: Context, limit: int) -> Executed:
    """Execute without keeping or charging anything; at most `limit` energy. Raises Refused."""
    deploys = order.kind == "CreateSmartContract"
    owner = octets(order.contract, "owner_address")
    caller = read_account(session, owner)
    value, about = _about(session, order, caller)
    if deploys:
        target = addresses.of_contract(order.txid, owner)
        data, code = b"", octets(about, "bytecode")
    else:
        target = octets(order.contract, "contract_address")
        data, code = octets(order.contract, "data"), None
    outcome = evm.run(
        session,
        Call(owner, target, data, value, limit, context.height, context.time_ms // 1000, code),
    )
    energy = outcome.energy + (CREATED_BYTE * len(outcome.output) if deploys else 0)
    result = _ending(outcome.error)
    if energy > limit and result in {_SUCCESS, _REVERT}:
        result = _OUT_OF_ENERGY
    if result not in {_SUCCESS, _REVERT}:
        energy = limit  # All that was offered is gone, as after an assertion of old Solidity.
    return Executed(result, energy, outcome, target)


def _ending(error: str) -> str:
    if not error:
        return _SUCCESS
    for words, result in _ENDINGS:
        if words in error.lower():
            return result
    return "UNKNOWN"


def _caller(session: Session, order: Order) -> Account:
    account = read_account(session, octets(order.contract, "owner_address"))
    if account is None:
        raise invalid("owner account does not exist")
    return account


def _about(session: Session, order: Order, caller: Account | None) -> tuple[int, Message]:
    """The value that is sent along and the contract's description. Raises Refused."""
    if not 0 <= order.fee_limit <= CHAIN["getMaxFeeLimit"]:
        raise invalid(f"feeLimit must be >= 0 and <= {CHAIN['getMaxFeeLimit']}")
    if order.kind == "CreateSmartContract":
        about = part(order.contract, "new_contract") or {}
        _check_creation(session, order, about)
        value = number(about, "call_value")
    else:
        found = read_contract(session, octets(order.contract, "contract_address"))
        if found is None:
            raise invalid("No contract or not a smart contract")
        about, value = found, number(order.contract, "call_value")
    if number(order.contract, "call_token_value") or number(order.contract, "token_id"):
        raise invalid("this stand-in does not model TRC-10 tokens")
    if value < 0:
        raise invalid("callValue must be >= 0")
    if value and (caller is None or caller.balance < value):
        raise invalid("Validate InternalTransfer error, balance is not sufficient.")
    return value, about


def _check_creation(session: Session, order: Order, about: Message) -> None:
    owner = octets(order.contract, "owner_address")
    if octets(about, "origin_address") != owner:
        raise invalid("OwnerAddress is not equals OriginAddress")
    if len(text(about, "name")) > _NAME_LENGTH_MAX:
        raise invalid("contractName's length cannot be greater than 32")
    if not 0 <= number(about, "consume_user_resource_percent") <= 100:
        raise invalid("percent must be >= 0 and <= 100")
    if number(about, "origin_energy_limit") <= 0:
        raise invalid("The originEnergyLimit must be > 0")
    address = addresses.of_contract(order.txid, owner)
    if read_account(session, address) is not None:
        raise invalid(
            "Trying to create a contract with existing contract address: "
            + addresses.shown(address, visible=True)
        )


def _keep(
    session: Session, order: Order, executed: Executed, about: Message, context: Context
) -> None:
    outcome = executed.outcome
    if order.kind == "CreateSmartContract":
        described = {**about, "contract_address": executed.address, "trx_hash": order.txid}
        _new_contract(session, executed.address, outcome.output.hex(), described, context)
    for address, code in outcome.codes.items():
        made: Message = {
            "origin_address": octets(order.contract, "owner_address"),
            "contract_address": address,
            "consume_user_resource_percent": 100,
            "trx_hash": order.txid,
        }
        _new_contract(session, address, code, made, context)
    for address, balance in outcome.balances.items():
        account = read_account(session, address)
        if account is None:
            if balance == 0:
                continue
            account = activate(session, address, context)
        account.balance = balance
        write_account(session, account)
    for address, words in outcome.storage.items():
        for slot, word in words.items():
            session.put(slot_key(address, slot), word)


def _new_contract(
    session: Session, address: bytes, code: str, about: Message, context: Context
) -> None:
    account = read_account(session, address) or activate(session, address, context)
    account.contract = True
    write_account(session, account)
    session.put(code_key(address), code)
    session.put(contract_key(address), encode(SMART_CONTRACT, about).hex())
