"""Composition of the signers beside the custodians. Importing it seals the process: whoever
imports it may open keys.
"""

import base64
import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

import boto3

from orion.adapters.aws.chain_key_vault import KmsChainKeyOpener
from orion.adapters.aws.fee_signer import KmsFeeSigner
from orion.adapters.mysql.kms_signing import MySqlFloatStore, MySqlSetStore, MySqlWalletStore
from orion.adapters.mysql.session import Database
from orion.errors import OrionError, Retry
from orion.kms.model import TRON_CUSTODY, Networks
from orion.kms.process import seal
from orion.kms.signing.chain_code import sweep_code
from orion.kms.signing.errors import LimitMissing, WrongNetwork
from orion.kms.signing.executor import EthereumFees, FeeChain, FloatSigner, SolanaFees
from orion.kms.signing.handover import HandoverSigner
from orion.kms.signing.model import (
    Place,
    execution_request,
    export_request,
    handover_request,
    refill,
    sets_request,
    sweep_request,
)
from orion.kms.signing.policy import limit_of
from orion.kms.signing.sets import CustodyRegister
from orion.kms.signing.sweep import SweepSigner
from orion.runtime import clock
from orion.runtime.log import logger, set_trace_id
from orion.runtime.settings import AWS_CLIENT, MissingSetting, mysql_config, settings
from orion.runtime.wakeup import wake

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

seal()
_log = logging.getLogger(__name__)

SWEEP_FEE_MAX = "policy/sweep-fee-max"
EXECUTOR_FLOAT = "policy/executor-float"

Result = Mapping[str, object]


def sign_sweep(chain: str, event: Mapping[str, object]) -> Result:
    """Answer a sweep of `chain`, which the function names and no request: `{"outcome": "signed",
    "version", "transaction"}`, or `refused` with a code. What may succeed later is raised.
    """
    return _typed(lambda: _sweep(chain, event))


def bear_fee(chain: str, event: Mapping[str, object]) -> Result:
    """Answer what the executor (`ethereum`) or the fee payer (`solana`) is asked: `signed` with its
    signature and, on Ethereum, the transaction; or `refilled`.
    """
    if event.get("operation") == "refilled":
        return _typed(lambda: _refilled(chain, event))
    return _typed(lambda: _bear_fee(chain, event))


def hand_over(event: Mapping[str, object]) -> Result:
    """Answer `{"group", "wallet", "unsigned"}` with the signed handover of a Tron account."""
    return _typed(lambda: _hand_over(event))


def register_sets(event: Mapping[str, object]) -> Result:
    """Answer `{"sets"}`: `{"outcome": "registered", "new", "known"}`; a repeat is a no-op."""
    return _typed(lambda: _register_sets(event))


def export_custody(event: Mapping[str, object]) -> Result:
    """Answer `{"first_group", "last_group", "limit", "after"}` with one page of accounts."""
    return _typed(lambda: _export_custody(event))


@cache
def _database() -> Database:
    return Database(mysql_config("kms", "orion_kms", direct=False))


@cache
def _kms() -> "KMSClient":
    return boto3.client("kms", config=AWS_CLIENT)


def _networks() -> Mapping[str, str]:
    return Networks.read(settings().document("chains/networks")).by_chain()


def _network(chain: str) -> str:
    network = _networks().get(chain)
    if network is None:
        raise WrongNetwork("the stage has no network of this chain", chain=chain)
    return network


def _contracts() -> Mapping[str, str]:
    """Token contracts of the stage by asset code. Raises MissingSetting."""
    document = settings().document("chains/contracts")
    found = {code: address for code, address in document.items() if isinstance(address, str)}
    if len(found) != len(document):
        raise MissingSetting("a contract is no text", parameter="chains/contracts")
    return found


def _limit(parameter: str, chain: str) -> int:
    """Decimal text under the chain's name in a parameter's JSON object. Raises LimitMissing."""
    if settings().optional(parameter) is None:
        return limit_of(None, chain, parameter)
    try:
        return limit_of(settings().document(parameter), chain, parameter)
    except MissingSetting as exc:
        raise LimitMissing("the limits are not JSON", parameter=parameter) from exc


@cache
def _sweep_signer(chain: str) -> SweepSigner:
    network = _network(chain)
    return SweepSigner(
        chain=chain,
        network=network,
        contracts=_contracts(),
        cap_units=lambda: _limit(SWEEP_FEE_MAX, chain),
        code=sweep_code(chain),
        vault=KmsChainKeyOpener(_kms(), settings().stage, chain),
        store=MySqlWalletStore(_database(), chain, network, chain),
        now=clock.now,
    )


def _sweep(chain: str, event: Mapping[str, object]) -> Result:
    request = sweep_request(event)
    set_trace_id(request.trace_id)
    signed = _sweep_signer(chain).sign(request)
    wake("kms")
    _log.info("sweep signed", extra={"group": request.group_no, "version": signed.version})
    return {
        "outcome": "signed",
        "version": signed.version,
        "transaction": _base64(signed.transaction),
    }


@cache
def _float_signer(chain: str) -> FloatSigner:
    network = _network(chain)
    fees: FeeChain = EthereumFees(int(network)) if chain == "ethereum" else SolanaFees(_contracts())
    return FloatSigner(
        chain=fees,
        cap_units=lambda: _limit(EXECUTOR_FLOAT, chain),
        key=KmsFeeSigner(_kms(), f"alias/orion/{settings().stage}/{fees.signer.value}", fees.curve),
        store=MySqlFloatStore(_database(), chain, network),
        now=clock.now,
    )


def _bear_fee(chain: str, event: Mapping[str, object]) -> Result:
    request = execution_request(event)
    set_trace_id(request.trace_id)
    signed = _float_signer(chain).sign(request)
    wake("kms")
    _log.info("fee signed", extra={"chain": chain, "version": signed.version})
    whole = signed.transaction
    return {
        "outcome": "signed",
        "version": signed.version,
        "signature": _base64(signed.signature),
        **({"transaction": _base64(whole)} if whole is not None else {}),
    }


def _refilled(chain: str, event: Mapping[str, object]) -> Result:
    told = refill(event)
    set_trace_id(told.trace_id)
    refilled = _float_signer(chain).refilled(told)
    wake("kms")
    _log.info("float refilled", extra={"chain": chain, "refill": told.refill_id})
    return {"outcome": "refilled", "committed_units": str(refilled.committed_units)}


@cache
def _handover_signer() -> HandoverSigner:
    store = MySqlWalletStore(_database(), "tron", _network("tron"), TRON_CUSTODY)
    vault = KmsChainKeyOpener(_kms(), settings().stage, TRON_CUSTODY)
    return HandoverSigner(vault=vault, store=store, now=clock.now)


def _hand_over(event: Mapping[str, object]) -> Result:
    request = handover_request(event)
    set_trace_id(request.trace_id)
    signed = _handover_signer().sign(request)
    wake("kms")
    _log.info("handover signed", extra={"group": request.group_no, "version": signed.version})
    return {
        "outcome": "signed",
        "version": signed.version,
        "transaction": _base64(signed.transaction),
    }


@cache
def _register() -> CustodyRegister:
    return CustodyRegister(MySqlSetStore(_database(), _networks()), clock.now)


def _register_sets(event: Mapping[str, object]) -> Result:
    request = sets_request(event)
    set_trace_id(request.trace_id)
    registered = _register().register(request)
    wake("kms")
    _log.info("custody sets registered", extra={"new": len(registered.new)})
    return {
        "outcome": "registered",
        "new": list(registered.new),
        "known": list(registered.known),
    }


def _export_custody(event: Mapping[str, object]) -> Result:
    request = export_request(event)
    set_trace_id(request.trace_id)
    page = _register().export(request)
    _log.info("custody accounts exported", extra={"accounts": len(page.accounts)})
    return {
        "outcome": "page",
        "accounts": list(page.accounts),
        "sets": list(page.sets),
        "after": _place(page.after),
    }


def _place(place: Place | None) -> Mapping[str, object] | None:
    if place is None:
        return None
    return {
        "group": place.group_no,
        "wallet": place.kind,
        "chain": place.chain,
        "set": place.set_no,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _typed(work: Callable[[], Result]) -> Result:
    logger()
    try:
        return work()
    except OrionError as refusal:
        if refusal.retry is not Retry.NEVER:
            raise
        _log.warning("signer refused", extra={"code": refusal.code})
        return {
            "outcome": "refused",
            "code": refusal.code,
            "detail": refusal.detail,
            "fields": dict(refusal.fields),
        }
