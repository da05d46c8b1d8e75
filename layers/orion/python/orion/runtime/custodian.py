"""Composition of one custodian. Importing it seals the process. It reads its environment and
nothing else: no parameters, no database, no topics, so that it can live in an account of its own.
"""

import base64
import logging
import os
import random
import time
from collections.abc import Mapping
from functools import cache

import boto3

from orion.adapters.aws.custodian_store import DynamoCustodianStore
from orion.adapters.aws.kms_signer import KmsCustodianSigner
from orion.chains.spend import CUSTODIANS
from orion.errors import OrionError, Retry
from orion.kms.custody.errors import CustodianMisconfigured
from orion.kms.custody.request import read_operation
from orion.kms.custody.service import CustodianService
from orion.kms.custody.settings import read_settings
from orion.kms.process import seal
from orion.runtime import clock
from orion.runtime.log import logger, set_trace_id
from orion.runtime.settings import AWS_CLIENT, stage

seal()
_log = logging.getLogger(__name__)

PAUSE_S = 0.02
PAUSE_MAX_S = 0.5

Result = Mapping[str, object]


@cache
def number() -> int:
    """Which custodian this is, 1 to 5. Raises CustodianMisconfigured."""
    text = _environment("ORION_CUSTODIAN")
    if text not in {str(each) for each in range(1, CUSTODIANS + 1)}:
        raise CustodianMisconfigured("ORION_CUSTODIAN is a number from 1 to 5")
    return int(text)


@cache
def service() -> CustodianService:
    """The custodian's use cases, built once a process. Raises CustodianMisconfigured."""
    return CustodianService(
        number=number(),
        settings=read_settings(_environment("ORION_CUSTODIAN_SETTINGS")),
        store=DynamoCustodianStore(
            boto3.client("dynamodb", config=AWS_CLIENT), _environment("ORION_CUSTODIAN_TABLE")
        ),
        signer=KmsCustodianSigner(boto3.client("kms", config=AWS_CLIENT), stage(), number()),
        now=clock.now,
        pause=pause,
    )


def answer(event: Mapping[str, object]) -> Result:
    """Answer one call (docs/custody.md, "Calls"): what a retry cannot mend as `refused`, the rest
    raised.
    """
    logger()
    operation = ""
    try:
        operation, trace_id = read_operation(event)
        set_trace_id(trace_id)
        result = _OPERATIONS[operation](event)
    except OrionError as refusal:
        told = {"operation": operation, "custodian": number(), "code": refusal.code}
        # Other fields may hold values of the request; these two are words and names.
        told |= {name: refusal.fields.get(name) for name in ("reason", "part")}
        if refusal.retry is not Retry.NEVER or isinstance(refusal, CustodianMisconfigured):
            _log.error("custodian failed", extra=told)
            raise
        _log.warning("custodian refused", extra=told)
        return {
            "outcome": "refused",
            "code": refusal.code,
            "detail": refusal.detail,
            "fields": dict(refusal.fields),
        }
    return result


def pause(attempt: int) -> None:
    """Wait at random, up to twice as long as the attempt before, never more than 0.5 s."""
    time.sleep(random.uniform(0, min(PAUSE_MAX_S, PAUSE_S * 2**attempt)))  # noqa: S311  No secret.


def _sign(event: Mapping[str, object]) -> Result:
    signed = service().sign(event)
    _log.info(
        "custodian signed",
        extra={
            "operation": "sign",
            "custodian": number(),
            "chain": signed.chain,
            "version": signed.version,
            "step": signed.step.value,
            "messages": len(signed.signatures),
        },
    )
    return {
        "outcome": "signed",
        "custodian": number(),
        "version": signed.version,
        "signatures": [base64.b64encode(each).decode() for each in signed.signatures],
    }


def _public_keys(event: Mapping[str, object]) -> Result:
    keys = service().public_keys(event)
    _log.info("custodian told its keys", extra={"custodian": number(), "set": keys.set_no})
    return {
        "outcome": "keys",
        "custodian": number(),
        "set": keys.set_no,
        "secp256k1": keys.secp256k1.hex(),
        "ed25519": keys.ed25519.hex(),
    }


def _enrol(event: Mapping[str, object]) -> Result:
    known = service().enrol(event)
    _log.info("custody set enrolled", extra={"custodian": number(), "set": known.set_no})
    return {
        "outcome": "enrolled",
        "custodian": number(),
        "set": known.set_no,
        "purpose": known.purpose.value,
        "secp256k1": [key.hex() for key in known.keys.secp256k1],
        "ed25519": [key.hex() for key in known.keys.ed25519],
    }


_OPERATIONS = {"sign": _sign, "public_keys": _public_keys, "enrol": _enrol}


def _environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise CustodianMisconfigured("an environment variable is not set", variable=name)
    return value
