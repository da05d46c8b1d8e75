"""A request judged as `sign` judges it: what the tests of custodians' evidence share."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from orion.ids import public_id
from orion.kms.custody.errors import CustodianRefusal
from orion.kms.custody.evidence import check_evidence
from orion.kms.custody.request import read_sign
from orion.kms.custody.statements import EvidenceKeys
from tests.engine.custodian_scene import NETWORKS, NOW, Body, Issuers, payout, sign_request

ISSUERS = Issuers()
SPKI = ISSUERS.keys()
SHOP = "0x" + "5a" * 20
OTHER_MERCHANT = public_id("mer", b"\1" * 16)
KEYS = EvidenceKeys({name: base64.b64decode(key) for name, key in SPKI.items()})


def pay(**more: object) -> Body:
    return payout("ethereum", "ETH.ethereum", SHOP, 700, **more)


def judge(entry: Body, now: Any = NOW) -> None:
    """Read one asked instruction and check its evidence, as `sign` does."""
    request = read_sign(sign_request(b"\1", [entry]), KEYS, NETWORKS)
    for each in request.asked:
        check_evidence(each.instruction, each.statements, (now,), f"{each.part}.evidence")


def refusal(entry: Body, now: Any = NOW) -> CustodianRefusal:
    with pytest.raises(CustodianRefusal) as refused:
        judge(entry, now)
    assert refused.value.part
    return refused.value


def expiry(minutes: int) -> str:
    return (NOW + timedelta(minutes=minutes)).isoformat()


def statement_of(entry: Body) -> Body:
    return dict(json.loads(base64.b64decode(entry["statement"])))
