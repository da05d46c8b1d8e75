"""The endpoints that read: accounts, blocks, transactions, parameters, signatures' weight."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from infra.local.tron import addresses
from infra.local.tron.accounts import Account, Usage, read_account, shown_account
from infra.local.tron.blocks import Block, height_of, read_block, shown_in_block
from infra.local.tron.chain import Chain, slot_time_ms
from infra.local.tron.contracts import read_contract
from infra.local.tron.execution import info_key
from infra.local.tron.json_form import to_json
from infra.local.tron.parameters import CHAIN, SUN_PER_TRX
from infra.local.tron.permissions import permission_of, weight
from infra.local.tron.refusals import Refused
from infra.local.tron.requests import Request
from infra.local.tron.resources import decay, limit, weight_trx
from infra.local.tron.schema import PERMISSION, SMART_CONTRACT
from infra.local.tron.transactions import Transaction, read_bytes, read_shown
from infra.local.tron.wire import number

Endpoint = Callable[[Chain, Request], object]
_BLOCKS_MAX = 100


def _found_account(chain: Chain, request: Request) -> Account | None:
    account = read_account(chain.view(solid=request.solid), request.address("address"))
    if account is None:
        return None
    slot = chain.slot
    return replace(
        account,
        net=Usage(decay(account.net, slot), account.net.slot),
        free_net=Usage(decay(account.free_net, slot), account.free_net.slot),
        energy=Usage(decay(account.energy, slot), account.energy.slot),
    )


def _get_account(chain: Chain, request: Request) -> object:
    account = _found_account(chain, request)
    if account is None:
        return {}
    for usage in (account.net, account.free_net, account.energy):
        usage.slot = slot_time_ms(usage.slot) if usage.slot else 0
    return shown_account(account, visible=request.visible)


def _net(chain: Chain, account: Account) -> dict[str, int]:
    view = chain.view(solid=False)
    return {
        "freeNetUsed": account.free_net.used,
        "freeNetLimit": CHAIN["getFreeNetLimit"],
        "NetUsed": account.net.used,
        "NetLimit": limit(view, account, 0),
        "TotalNetLimit": CHAIN["getTotalNetLimit"],
        "TotalNetWeight": weight_trx(view, 0),
    }


def _get_account_net(chain: Chain, request: Request) -> object:
    account = _found_account(chain, request)
    if account is None:
        return {}
    return {name: value for name, value in _net(chain, account).items() if value}


def _get_account_resource(chain: Chain, request: Request) -> object:
    account = _found_account(chain, request)
    if account is None:
        return {}
    view = chain.view(solid=False)
    staked = account.for_net.own + account.for_energy.own
    staked += account.for_net.delegated + account.for_energy.delegated
    out = {
        **_net(chain, account),
        "tronPowerLimit": staked // SUN_PER_TRX,
        "EnergyUsed": account.energy.used,
        "EnergyLimit": limit(view, account, 1),
        "TotalEnergyLimit": CHAIN["getTotalEnergyCurrentLimit"],
        "TotalEnergyWeight": weight_trx(view, 1),
    }
    return {name: value for name, value in out.items() if value}


def _newest(chain: Chain, request: Request) -> int:
    return chain.solid_height if request.solid else chain.head.height


def _block_at(chain: Chain, request: Request, height: int) -> Block | None:
    if not 0 <= height <= _newest(chain, request):
        return None
    return read_block(chain.view(solid=False), height)


def _shown(block: Block | None, request: Request, *, detail: bool = True) -> object:
    return {} if block is None else block.shown(visible=request.visible, detail=detail)


def _get_now_block(chain: Chain, request: Request) -> object:
    return _shown(_block_at(chain, request, _newest(chain, request)), request)


def _get_block_by_number(chain: Chain, request: Request) -> object:
    return _shown(_block_at(chain, request, request.number("num")), request)


def _get_block_by_id(chain: Chain, request: Request) -> object:
    height = height_of(chain.view(solid=False), request.text("value").lower())
    return {} if height is None else _shown(_block_at(chain, request, height), request)


def _get_block(chain: Chain, request: Request) -> object:
    wanted = request.values.get("id_or_num")
    if wanted is None:
        height: int | None = _newest(chain, request)
    elif isinstance(wanted, str) and len(wanted) == 64:
        height = height_of(chain.view(solid=False), wanted.lower())
    else:
        height = request.number("id_or_num")
    block = None if height is None else _block_at(chain, request, height)
    return _shown(block, request, detail=request.truth("detail"))


def _several_blocks(chain: Chain, request: Request, first: int, count: int) -> object:
    found = [_block_at(chain, request, first + index) for index in range(count)]
    shown = [_shown(block, request) for block in found if block is not None]
    return {"block": shown} if shown else {}


def _get_block_by_latest(chain: Chain, request: Request) -> object:
    count = request.number("num")
    if not 0 < count < _BLOCKS_MAX:
        return {}
    count = min(count, _newest(chain, request) + 1)
    return _several_blocks(chain, request, _newest(chain, request) - count + 1, count)


def _get_blocks_by_limit(chain: Chain, request: Request) -> object:
    first, end = request.number("startNum"), request.number("endNum")
    if first < 0 or not 0 < end - first <= _BLOCKS_MAX:
        return {}
    return _several_blocks(chain, request, first, end - first)


def _txid(request: Request) -> bytes:
    return request.octets("value")


def _get_transaction(chain: Chain, request: Request) -> object:
    txid = _txid(request)
    height = chain.height_of_transaction(txid, solid=request.solid)
    block = None if height is None else read_block(chain.view(solid=False), height)
    if block is None:
        return {}
    for data, result in zip(block.transactions, block.results, strict=True):
        transaction = read_bytes(data)
        if transaction.txid == txid:
            return shown_in_block(transaction, result, visible=request.visible)
    return {}


def _get_pending_transaction(chain: Chain, request: Request) -> object:
    found = chain.pooled(_txid(request))
    return {} if found is None else found.shown(visible=request.visible)


def _info(chain: Chain, txid: bytes, request: Request) -> dict[str, object]:
    found = chain.view(solid=False).get(info_key(txid))
    info: dict[str, object] = {} if found is None else json.loads(found)
    contract = info.get("contract_address")
    if isinstance(contract, str):
        info["contract_address"] = addresses.shown(bytes.fromhex(contract), visible=request.visible)
    return info


def _get_info(chain: Chain, request: Request) -> object:
    txid = _txid(request)
    if chain.height_of_transaction(txid, solid=request.solid) is None:
        return {}
    return _info(chain, txid, request)


def _get_infos_of_block(chain: Chain, request: Request) -> object:
    block = _block_at(chain, request, request.number("num"))
    if block is None:
        return []
    return [_info(chain, read_bytes(data).txid, request) for data in block.transactions]


def _get_chain_parameters(_chain: Chain, _request: Request) -> object:
    return {"chainParameter": [{"key": key, "value": value} for key, value in CHAIN.items()]}


def _get_contract(chain: Chain, request: Request) -> object:
    about = read_contract(chain.view(solid=request.solid), request.address("value"))
    return {} if about is None else to_json(SMART_CONTRACT, about, visible=request.visible)


def _validate_address(_chain: Chain, request: Request) -> object:
    words = request.text("address")
    for visible, notation in ((False, "Hex string format"), (True, "Base58check format")):
        try:
            if addresses.is_address(addresses.read(words, visible=visible)):
                return {"result": True, "message": notation}
        except ValueError:
            continue
    return {"result": False, "message": "Invalid address"}


def _get_node_info(chain: Chain, _request: Request) -> object:
    solid = read_block(chain.view(solid=False), chain.solid_height)
    head = chain.head
    return {
        "beginSyncNum": head.height,
        "block": f"Num:{head.height},ID:{head.block_id.hex()}",
        "solidityBlock": f"Num:{chain.solid_height},ID:{solid.block_id.hex() if solid else ''}",
        "currentConnectCount": 0,
        "activeConnectCount": 0,
        "passiveConnectCount": 0,
        "totalFlow": 0,
        "peerInfoList": [],
        "configNodeInfo": {"codeVersion": "stand-in", "p2pVersion": "0"},
        "machineInfo": {},
        "cheatWitnessInfoMap": {},
    }


def _judged(chain: Chain, transaction: Transaction, request: Request) -> dict[str, object]:
    view = chain.view(solid=False)
    account = read_account(view, transaction.owner) or Account(transaction.owner.hex())
    permission = permission_of(account, transaction.permission_id, transaction.contract_type)
    reached, signers = weight(permission, transaction.txid, transaction.signatures)
    enough = reached >= number(permission, "threshold")
    out: dict[str, object] = {
        # ENOUGH_PERMISSION is the default of its enum and so is left out.
        "result": {} if enough else {"code": "NOT_ENOUGH_PERMISSION"},
        "permission": to_json(PERMISSION, permission, visible=request.visible),
        "approved_list": [addresses.shown(one, visible=request.visible) for one in signers],
        "current_weight": reached,
    }
    return {name: value for name, value in out.items() if value or name == "result"}


def _wrapped(transaction: Transaction, request: Request) -> dict[str, object]:
    return {
        "result": {"result": True},
        "txid": transaction.txid.hex(),
        "transaction": transaction.shown(visible=request.visible),
    }


def _get_sign_weight(chain: Chain, request: Request) -> object:
    transaction = read_shown(request.values)
    try:
        judged = _judged(chain, transaction, request)
    except Refused as refused:
        judged = {"result": {"code": "PERMISSION_ERROR", "message": refused.detail}}
    return {**judged, "transaction": _wrapped(transaction, request)}


def _get_approved_list(chain: Chain, request: Request) -> object:
    transaction = read_shown(request.values)
    try:
        judged = _judged(chain, transaction, request)
    except Refused as refused:
        failed = {"code": "SIGNATURE_FORMAT_ERROR", "message": refused.detail}
        return {"result": failed, "transaction": _wrapped(transaction, request)}
    return {
        "result": {},
        "approved_list": judged.get("approved_list", []),
        "transaction": _wrapped(transaction, request),
    }


def _prices(name: str) -> Endpoint:
    def endpoint(_chain: Chain, _request: Request) -> object:
        return {"prices": f"0:{CHAIN[name]}"}

    return endpoint


def _get_pending_size(chain: Chain, _request: Request) -> object:
    return {"pendingTransactionSize": chain.pool_size}


# Answered by /walletsolidity, too.
BOTH: Mapping[str, Endpoint] = MappingProxyType(
    {
        "getaccount": _get_account,
        "getnowblock": _get_now_block,
        "getblock": _get_block,
        "getblockbynum": _get_block_by_number,
        "getblockbyid": _get_block_by_id,
        "getblockbylatestnum": _get_block_by_latest,
        "getblockbylimitnext": _get_blocks_by_limit,
        "gettransactionbyid": _get_transaction,
        "gettransactioninfobyid": _get_info,
        "gettransactioninfobyblocknum": _get_infos_of_block,
        "getnodeinfo": _get_node_info,
    }
)
FULL: Mapping[str, Endpoint] = MappingProxyType(
    {
        "getaccountnet": _get_account_net,
        "getaccountresource": _get_account_resource,
        "getapprovedlist": _get_approved_list,
        "getbandwidthprices": _prices("getTransactionFee"),
        "getchainparameters": _get_chain_parameters,
        "getcontract": _get_contract,
        "getenergyprices": _prices("getEnergyFee"),
        "getpendingsize": _get_pending_size,
        "getsignweight": _get_sign_weight,
        "gettransactionfrompending": _get_pending_transaction,
        "validateaddress": _validate_address,
    }
)
