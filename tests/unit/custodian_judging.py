"""A request judged as `sign` judges it: what the tests of custodians' evidence share."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from orion.chains.spend import Curve, Operation, Payment, Spend, WalletKind
from orion.ids import public_id
from orion.kms.custody.errors import CustodianRefusal
from orion.kms.custody.evidence import check_evidence
from orion.kms.custody.instruction import read_instruction
from orion.kms.custody.model import Remembered, SignDecision, Target, decide
from orion.kms.custody.request import Asked, read_sign
from orion.kms.custody.statements import EvidenceKeys, read_evidence
from tests.engine.custodian_scene import NETWORKS, NOW, Body, Issuers, payout, sign_request

ISSUERS = Issuers()
SPKI = ISSUERS.keys()
SHOP, ETH = "0x" + "5a" * 20, "ETH.ethereum"
CAPS = {kind: {ETH: 1_000, "TRX.tron": 1_000} for kind in WalletKind}
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


def asked(*bodies: Body, more: Mapping[int, list[Body]] | None = None) -> tuple[Asked, ...]:
    return tuple(
        Asked(
            read_instruction(body, NETWORKS, f"instructions[{place}].instruction"),
            read_evidence(
                [*ISSUERS.enough(body), *(more or {}).get(place, [])], KEYS, f"evidence[{place}]"
            ),
            f"instructions[{place}]",
        )
        for place, body in enumerate(bodies)
    )


def spend(*payments: Payment, **more: Any) -> Spend:
    made = Spend(
        operation=Operation.PAY,
        payments=payments,
        fee_max_units=0,
        claims=("safe:1",),
        version="aa" * 32,
        curve=Curve.SECP256K1,
        messages=(bytes(32),),
    )
    return replace(made, **more)


def decided(
    wanted: tuple[Asked, ...],
    made: Spend,
    remembered: Remembered | None = None,
    target: Target | None = None,
    now: datetime = NOW,
) -> SignDecision:
    return decide(wanted, made, target, remembered or Remembered(), now, CAPS)


def reason(*args: Any, **named: Any) -> str:
    with pytest.raises(CustodianRefusal) as refused:
        decided(*args, **named)
    assert refused.value.part
    return refused.value.reason
