"""Whose statements this stage's kms functions believe: the issuers that custodians are given."""

from functools import cache

from orion.kms.custody.settings import read_settings
from orion.kms.custody.statements import EvidenceKeys
from orion.runtime.settings import settings

CUSTODIAN_SETTINGS = "custodian/settings"


@cache
def evidence_keys() -> EvidenceKeys:
    """The issuers' public keys. Raises MissingSetting, CustodianMisconfigured."""
    return read_settings(settings().text(CUSTODIAN_SETTINGS)).evidence_keys
