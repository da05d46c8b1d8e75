"""Composition of those who bear fees on the chains: the executor and the fee payer. No private key
is here, only KMS keys that never leave it.
"""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.aws.fee_signer import KmsFeeSigner
from orion.adapters.mysql.kms_signing import MySqlFloatStore
from orion.kms.signing.executor import EthereumFees, FeeChain, FloatSigner, SolanaFees
from orion.kms.signing.model import execution_request, refill, safe_request
from orion.runtime import clock
from orion.runtime.kms_anchors import anchors_of
from orion.runtime.kms_calls import (
    Result,
    base64_text,
    contracts,
    database,
    kms,
    limit,
    network_of,
    typed,
)
from orion.runtime.log import set_trace_id
from orion.runtime.settings import settings
from orion.runtime.wakeup import wake

_log = logging.getLogger(__name__)

EXECUTOR_FLOAT = "policy/executor-float"


def bear_fee(chain: str, event: Mapping[str, object]) -> Result:
    """Answer what the executor (`ethereum`) or the fee payer (`solana`) is asked: `signed` with its
    signature and, on Ethereum, the transaction; or `refilled`.
    """
    if event.get("operation") == "refilled":
        return typed(lambda: _refilled(chain, event))
    return typed(lambda: _bear_fee(chain, event))


@cache
def _float_signer(chain: str) -> FloatSigner:
    network = network_of(chain)
    fees: FeeChain = EthereumFees(int(network)) if chain == "ethereum" else SolanaFees(contracts())
    return FloatSigner(
        chain=fees,
        cap_units=lambda: limit(EXECUTOR_FLOAT, chain),
        key=KmsFeeSigner(kms(), f"alias/orion/{settings().stage}/{fees.signer.value}", fees.curve),
        store=MySqlFloatStore(database(), chain, network),
        anchors=anchors_of(chain),
        now=clock.now,
    )


def _bear_fee(chain: str, event: Mapping[str, object]) -> Result:
    request = safe_request(event) if chain == "ethereum" else execution_request(event)
    set_trace_id(request.trace_id)
    signed = _float_signer(chain).sign(request)
    wake("kms")
    _log.info("fee signed", extra={"chain": chain, "version": signed.version})
    whole = signed.transaction
    return {
        "outcome": "signed",
        "version": signed.version,
        "signature": base64_text(signed.signature),
        **({"transaction": base64_text(whole)} if whole is not None else {}),
    }


def _refilled(chain: str, event: Mapping[str, object]) -> Result:
    told = refill(event)
    set_trace_id(told.trace_id)
    refilled = _float_signer(chain).refilled(told)
    wake("kms")
    _log.info("float refilled", extra={"chain": chain, "refill": told.refill_id})
    return {"outcome": "refilled", "committed_units": str(refilled.committed_units)}
