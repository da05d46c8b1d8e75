"""Payment links as independent parsers read them: bip21, eth-url-parser, @solana/pay, tronweb."""

import json
import subprocess
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infra.setup.tools import TOOLS, tool
from orion.billing.payment_link import payment_link
from orion.money import Amount, asset
from tests.unit.checkout_views import (
    BITCOIN,
    CONTRACTS,
    ETHEREUM,
    PLACES,
    SOLANA,
    TRON,
)

pytestmark = pytest.mark.engine
READER = Path(__file__).with_name("links") / "read.mjs"
ADDRESSES = {"bitcoin": BITCOIN, "ethereum": ETHEREUM, "solana": SOLANA, "tron": TRON}
# One unit, an ordinary amount, one with trailing zeros, and more than a double holds exactly.
UNITS = (1, 41_667, 1_000_000, 123_456_789_012_345)
ASKED = [
    (code, units)
    for code in ("BTC.bitcoin", "ETH.ethereum", "USDT.ethereum", "SOL.solana", "TRX.tron")
    for units in UNITS
] + [("USDT.tron", units) for units in UNITS]


@pytest.fixture(scope="module")
def read() -> Mapping[tuple[str, int], dict[str, Any]]:
    """Every link, read back in one run of Node."""
    lines = []
    for code, units in ASKED:
        chain = code.partition(".")[2]
        link = payment_link(Amount(units, asset(code)), ADDRESSES[chain], PLACES)
        lines.append(json.dumps({"chain": chain, "link": link}))
    run = subprocess.run(
        [str(tool("node")), str(READER), str(TOOLS / "npm" / "node_modules")],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return dict(zip(ASKED, map(json.loads, run.stdout.splitlines()), strict=True))


def coins(code: str, units: int) -> Decimal:
    return Decimal(Amount(units, asset(code)).text())


@pytest.mark.parametrize("units", UNITS)
def test_bip21_reads_the_same_payment(
    read: Mapping[tuple[str, int], dict[str, Any]], units: int
) -> None:
    found = read["BTC.bitcoin", units]
    assert found["address"] == BITCOIN
    # Its amounts are doubles: eight decimals of one survive the way to text and back.
    assert round(Decimal(found["options"]["amount"]), 8) == coins("BTC.bitcoin", units)


@pytest.mark.parametrize("units", UNITS)
def test_eip_681_reads_the_same_payment_of_a_coin_and_of_a_token(
    read: Mapping[tuple[str, int], dict[str, Any]], units: int
) -> None:
    coin = read["ETH.ethereum", units]
    assert (coin["target_address"], coin["chain_id"]) == (ETHEREUM, "1")
    assert coin["parameters"] == {"value": str(units)}
    token = read["USDT.ethereum", units]
    assert token["target_address"] == CONTRACTS["USDT.ethereum"]
    assert (token["function_name"], token["chain_id"]) == ("transfer", "1")
    assert token["parameters"] == {"address": ETHEREUM, "uint256": str(units)}


@pytest.mark.parametrize("units", UNITS)
def test_solana_pay_reads_the_same_payment(
    read: Mapping[tuple[str, int], dict[str, Any]], units: int
) -> None:
    found = read["SOL.solana", units]
    assert found["recipient"] == SOLANA
    assert Decimal(repr(found["amount"])) == coins("SOL.solana", units)
    assert "splToken" not in found


@pytest.mark.parametrize("units", UNITS)
def test_a_tron_link_holds_what_tron_takes_for_addresses_and_amounts(
    read: Mapping[tuple[str, int], dict[str, Any]], units: int
) -> None:
    coin, token = read["TRX.tron", units], read["USDT.tron", units]
    assert (coin["recipient"], coin["recipientValid"], coin["token"]) == (TRON, True, None)
    assert coin["sun"] == str(units)
    assert (token["recipient"], token["recipientValid"]) == (TRON, True)
    assert (token["token"], token["tokenValid"]) == (CONTRACTS["USDT.tron"], True)
    assert token["sun"] == str(units), "six decimals, as TRX has"
