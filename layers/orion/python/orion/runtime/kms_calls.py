"""What the compositions of the kms functions share: the stage's own data, and how a call is
answered. Importing it seals the process, whatever its function may open or sign.
"""

import base64
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

import boto3

from orion.adapters.mysql.session import Database
from orion.kms.model import Networks
from orion.kms.process import seal
from orion.kms.signing.errors import LimitMissing, WrongNetwork
from orion.kms.signing.policy import limit_of
from orion.runtime import operator_calls
from orion.runtime.operator_calls import Answer
from orion.runtime.settings import AWS_CLIENT, MissingSetting, mysql_config, settings

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

seal()

Result = Answer


def typed(work: Callable[[], Result]) -> Result:
    """What `work` answers; what a retry cannot mend as `refused`, the rest raised."""
    return operator_calls.typed("kms", work)


@cache
def database() -> Database:
    """The schema `orion_kms`; one connection a process."""
    return Database(mysql_config("kms", "orion_kms", direct=False))


@cache
def kms() -> "KMSClient":
    """KMS, with the timeouts of all AWS calls; one client a process."""
    return boto3.client("kms", config=AWS_CLIENT)


def networks() -> Networks:
    """The networks of the stage. Raises MissingSetting, UnusableNetworks."""
    return Networks.read(settings().document("chains/networks"))


def network_of(chain: str) -> str:
    """The stage's network of one chain. Raises WrongNetwork."""
    network = networks().by_chain().get(chain)
    if network is None:
        raise WrongNetwork("the stage has no network of this chain", chain=chain)
    return network


def contracts() -> Mapping[str, str]:
    """Token contracts of the stage by asset code. Raises MissingSetting."""
    document = settings().document("chains/contracts")
    found = {code: address for code, address in document.items() if isinstance(address, str)}
    if len(found) != len(document):
        raise MissingSetting("a contract is no text", parameter="chains/contracts")
    return found


def limit(parameter: str, chain: str) -> int:
    """Decimal text under the chain's name in a parameter's JSON object. Raises LimitMissing."""
    if settings().optional(parameter) is None:
        return limit_of(None, chain, parameter)
    try:
        return limit_of(settings().document(parameter), chain, parameter)
    except MissingSetting as exc:
        raise LimitMissing("the limits are not JSON", parameter=parameter) from exc


def base64_text(data: bytes) -> str:
    """Bytes as answers carry them (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()
