"""Composition of what opens chain keys: sweeps of wallets into custody, and the handover of a Tron
account. Whoever imports it may open keys.
"""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.aws.chain_key_vault import KmsChainKeyOpener
from orion.adapters.mysql.kms_signing import MySqlWalletStore
from orion.kms.model import TRON_CUSTODY
from orion.kms.signing.chain_code import sweep_code
from orion.kms.signing.handover import HandoverSigner
from orion.kms.signing.model import handover_request, sweep_request
from orion.kms.signing.named_accounts import NamedAccounts
from orion.kms.signing.sweep import SweepSigner
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

SWEEP_FEE_MAX = "policy/sweep-fee-max"


def sign_sweep(chain: str, event: Mapping[str, object]) -> Result:
    """Answer a sweep of `chain`, which the function names and no request: `{"outcome": "signed",
    "version", "transaction"}`, or `refused` with a code. What may succeed later is raised.
    """
    return typed(lambda: _sweep(chain, event))


def hand_over(event: Mapping[str, object]) -> Result:
    """Answer `{"group", "wallet", "unsigned"}` with the signed handover of a Tron account."""
    return typed(lambda: _hand_over(event))


def _named_accounts() -> NamedAccounts:
    """The account keys of Tron's wallets and the keys that name its custody are sealed under one
    KMS key; the context tells them apart.
    """
    vault = KmsChainKeyOpener(kms(), settings().stage, TRON_CUSTODY)
    store = MySqlWalletStore(database(), "tron", network_of("tron"), TRON_CUSTODY)
    return NamedAccounts(vault, store)


@cache
def _sweep_signer(chain: str) -> SweepSigner:
    network = network_of(chain)
    return SweepSigner(
        chain=chain,
        network=network,
        contracts=contracts(),
        cap_units=lambda: limit(SWEEP_FEE_MAX, chain),
        code=sweep_code(chain),
        vault=KmsChainKeyOpener(kms(), settings().stage, chain),
        store=MySqlWalletStore(database(), chain, network, chain),
        anchors=_named_accounts() if chain == "tron" else anchors_of(chain),
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
        "transaction": base64_text(signed.transaction),
    }


@cache
def _handover_signer() -> HandoverSigner:
    store = MySqlWalletStore(database(), "tron", network_of("tron"), TRON_CUSTODY)
    vault = KmsChainKeyOpener(kms(), settings().stage, TRON_CUSTODY)
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
        "transaction": base64_text(signed.transaction),
    }
