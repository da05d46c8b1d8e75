"""The endpoints that build transactions, run contracts without effect, and broadcast."""

import json
from collections.abc import Mapping
from types import MappingProxyType

from infra.local.tron import addresses
from infra.local.tron.actuators import ACTUATORS
from infra.local.tron.blocks import read_block
from infra.local.tron.chain import Chain
from infra.local.tron.contracts import (
    CONSTANT_ENERGY_MAX,
    Executed,
    Order,
    read_contract,
    run,
)
from infra.local.tron.json_form import from_json
from infra.local.tron.reading import Endpoint
from infra.local.tron.refusals import Code, Refused
from infra.local.tron.requests import Request
from infra.local.tron.resources import Receipt
from infra.local.tron.schema import ABI, CONTRACTS
from infra.local.tron.transactions import Transaction, build, read_bytes, read_shown
from infra.local.tron.wire import MalformedMessage, Message, parts, text
from orion.chains.ethereum.keccak import keccak256

_EXPIRES_AFTER_MS = 60_000
_VALIDATE_EXCEPTION = "class org.tron.core.exception.ContractValidateException : "
_NOBODY = bytes([addresses.PREFIX]) + bytes(20)


def error(detail: str, of: str = _VALIDATE_EXCEPTION) -> dict[str, object]:
    """The error of the endpoints that answer a transaction."""
    return {"Error": of + detail}


def _build(
    chain: Chain, request: Request, kind: str, contract: Message, fee_limit: int = 0
) -> Transaction:
    """With the newest solidified block as reference, as java-tron's default has it."""
    solid = read_block(chain.view(solid=False), chain.solid_height)
    raw: Message = {
        "expiration": chain.head.time_ms + _EXPIRES_AFTER_MS,
        "timestamp": chain.now_ms,
    }
    if solid is not None:
        raw["ref_block_bytes"] = solid.block_id[6:8]
        raw["ref_block_hash"] = solid.block_id[8:16]
    if fee_limit:
        raw["fee_limit"] = fee_limit
    memo = request.values.get("extra_data")
    if isinstance(memo, str):
        raw["data"] = request.octets("extra_data")
    return build(kind, contract, raw, permission_id=request.number("Permission_id", 0))


def _system(kind: str) -> Endpoint:
    """An endpoint that validates and builds one system contract."""

    def endpoint(chain: Chain, request: Request) -> object:
        contract = from_json(CONTRACTS[kind], request.values, visible=request.visible)
        try:
            ACTUATORS[kind](chain.trial(solid=False), contract, chain.context(), Receipt())
        except Refused as refused:
            return error(refused.detail)
        return _build(chain, request, kind, contract).shown(visible=request.visible)

    return endpoint


def _deploy(chain: Chain, request: Request) -> object:
    owner = request.address("owner_address")
    about: Message = {
        "origin_address": owner,
        "bytecode": request.octets("bytecode") + request.octets("parameter", ""),
        "call_value": request.number("call_value", 0),
        "consume_user_resource_percent": request.number("consume_user_resource_percent", 0),
        "name": request.text("name", ""),
        "origin_energy_limit": request.number("origin_energy_limit", 0),
        "abi": _abi(request.values.get("abi", "[]")),
    }
    contract: Message = {"owner_address": owner, "new_contract": about}
    transaction = _build(
        chain, request, "CreateSmartContract", contract, request.number("fee_limit", 0)
    )
    return {
        **transaction.shown(visible=request.visible),
        "contract_address": addresses.of_contract(transaction.txid, owner).hex(),
    }


def _abi(source: object) -> Message:
    if isinstance(source, str):
        try:
            source = json.loads(source)
        except ValueError as exc:
            raise MalformedMessage("abi is not JSON") from exc
    entries = source.get("entrys", []) if isinstance(source, dict) else source
    return from_json(ABI, {"entrys": entries}, visible=False)


def _call_data(request: Request) -> bytes:
    selector = request.text("function_selector", "")
    if selector:
        return keccak256(selector.encode())[:4] + request.octets("parameter", "")
    return request.octets("data", "")


def _trigger_message(request: Request) -> Message:
    return {
        "owner_address": request.address("owner_address"),
        "contract_address": request.address("contract_address"),
        "call_value": request.number("call_value", 0),
        "data": _call_data(request),
        "call_token_value": request.number("call_token_value", 0),
        "token_id": request.number("token_id", 0),
    }


def _failed(refused: Refused) -> dict[str, object]:
    return {"result": {"code": refused.code.value, "message": refused.message.encode().hex()}}


def _missing() -> dict[str, object]:
    return _failed(Refused(Code.CONTRACT_VALIDATE_ERROR, "Smart contract is not exist."))


def _trigger(chain: Chain, request: Request) -> object:
    contract = _trigger_message(request)
    about = read_contract(chain.pending, request.address("contract_address"))
    if about is None:
        return _missing()
    if _is_constant(about, _call_data(request)):
        return _constant(chain, request)
    transaction = _build(
        chain, request, "TriggerSmartContract", contract, request.number("fee_limit", 0)
    )
    return {"result": {"result": True}, "transaction": transaction.shown(visible=request.visible)}


def _is_constant(about: Message, data: bytes) -> bool:
    """Whether the ABI calls the function view or pure: such a call makes no transaction."""
    abi = about.get("abi")
    if not isinstance(abi, dict):
        return False
    for entry in parts(abi, "entrys"):
        signature = ",".join(text(one, "type") for one in parts(entry, "inputs"))
        selector = keccak256(f"{text(entry, 'name')}({signature})".encode())[:4]
        if entry.get("type") == 2 and selector == data[:4]:
            return entry.get("constant") is True or entry.get("stateMutability") in {1, 2}
    return False


def _without_effect(chain: Chain, request: Request) -> tuple[Transaction, Executed]:
    """The transaction that would be, and what it would do. Raises Refused."""
    context = chain.context()
    if request.values.get("contract_address"):
        kind, contract = "TriggerSmartContract", _trigger_message(request)
    else:
        owner = request.address("owner_address")
        about: Message = {
            "origin_address": owner,
            "bytecode": request.octets("data", ""),
            "call_value": request.number("call_value", 0),
            "origin_energy_limit": 1,
        }
        kind, contract = "CreateSmartContract", {"owner_address": owner, "new_contract": about}
    transaction = _build(chain, request, kind, contract)
    order = Order(kind, contract, transaction.txid, 0)
    session = chain.trial(solid=request.solid)
    return transaction, run(chain.evm, session, order, context, CONSTANT_ENERGY_MAX)


def _constant(chain: Chain, request: Request) -> object:
    try:
        transaction, executed = _without_effect(chain, request)
    except Refused as refused:
        return _failed(refused)
    told: dict[str, object] = {"result": True}
    ended: dict[str, object] = {}
    if executed.message:
        told["message"] = executed.message.encode().hex()
        ended["ret"] = "FAILED"
    out: dict[str, object] = {
        "result": told,
        "energy_used": executed.energy,
        "constant_result": [executed.outcome.output.hex()],
        "transaction": {"ret": [ended], **transaction.shown(visible=request.visible)},
    }
    if executed.outcome.logs:
        out["logs"] = list(executed.outcome.logs)
    if executed.outcome.internal:
        out["internal_transactions"] = list(executed.outcome.internal)
    return out


def _estimate(chain: Chain, request: Request) -> object:
    try:
        _, executed = _without_effect(chain, request)
    except Refused as refused:
        return _failed(refused)
    if executed.message:
        failed = Refused(Code.CONTRACT_EXE_ERROR, executed.message)
        return _failed(failed)
    return {"result": {"result": True}, "energy_required": executed.energy}


def _answer(chain: Chain, transaction: Transaction) -> Refused | None:
    try:
        chain.broadcast(transaction)
    except Refused as refused:
        return refused
    return None


def _broadcast(chain: Chain, request: Request) -> object:
    """A failure has no `result` at all: protobuf leaves out what is false."""
    transaction = read_shown(request.values)
    refused = _answer(chain, transaction)
    if refused is None:
        return {"result": True, "txid": transaction.txid.hex()}
    message = refused.message if request.visible else refused.message.encode().hex()
    return {"code": refused.code.value, "txid": transaction.txid.hex(), "message": message}


def _broadcast_hex(chain: Chain, request: Request) -> object:
    """Unlike broadcasttransaction it tells `result` always and `message` in plain words."""
    transaction = read_bytes(request.octets("transaction"))
    refused = _answer(chain, transaction)
    return {
        "result": refused is None,
        "code": "SUCCESS" if refused is None else refused.code.value,
        "message": "" if refused is None else refused.message,
        "transaction": json.dumps(transaction.shown(visible=request.visible)),
        "txid": transaction.txid.hex(),
    }


# Answered by /walletsolidity, too.
BOTH: Mapping[str, Endpoint] = MappingProxyType(
    {"estimateenergy": _estimate, "triggerconstantcontract": _constant}
)
FULL: Mapping[str, Endpoint] = MappingProxyType(
    {
        "accountpermissionupdate": _system("AccountPermissionUpdateContract"),
        "broadcasthex": _broadcast_hex,
        "broadcasttransaction": _broadcast,
        "createaccount": _system("AccountCreateContract"),
        "createtransaction": _system("TransferContract"),
        "delegateresource": _system("DelegateResourceContract"),
        "deploycontract": _deploy,
        "freezebalancev2": _system("FreezeBalanceV2Contract"),
        "triggersmartcontract": _trigger,
        "undelegateresource": _system("UnDelegateResourceContract"),
        "unfreezebalancev2": _system("UnfreezeBalanceV2Contract"),
        "withdrawexpireunfreeze": _system("WithdrawExpireUnfreezeContract"),
    }
)
