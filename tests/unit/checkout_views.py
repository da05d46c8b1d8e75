"""An invoice as the checkout page gets it, for tests of the page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orion.billing.checkout_page import Page, View
from orion.billing.payment_link import Networks

WEB = Path(__file__).parents[2] / "web"
PAGE = Page(WEB / "checkout", WEB / "shared")
CONTRACTS = {
    "USDT.ethereum": "0xdAC17F958D2ee523a2206206994597C13D831ec7",
    "USDT.tron": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
}
NETWORKS = {"bitcoin": "regtest", "ethereum": "1", "tron": "mainnet", "solana": "mainnet-beta"}
PLACES = Networks(NETWORKS, CONTRACTS)
BITCOIN = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
ETHEREUM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
TRON = "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8"
SOLANA = "mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN"


def an_option(code: str, amount: str, address: str, link: str, **more: str) -> dict[str, str]:
    return {
        "asset": code,
        "chain": code.partition(".")[2],
        "amount": amount,
        "paid": "0",
        "remaining": amount,
        "address": address,
        "payment_link": link,
        **more,
    }


def options() -> list[dict[str, str]]:
    token, usdt = CONTRACTS["USDT.ethereum"], CONTRACTS["USDT.tron"]
    return [
        an_option("BTC.bitcoin", "0.00041667", BITCOIN, f"bitcoin:{BITCOIN}?amount=0.00041667"),
        an_option(
            "USDT.ethereum",
            "26.881721",
            ETHEREUM,
            f"ethereum:{token}@1/transfer?address={ETHEREUM}&uint256=26881721",
        ),
        an_option("USDT.tron", "26.881721", TRON, f"tron:{TRON}?amount=26.881721&token={usdt}"),
        an_option("SOL.solana", "0.150000000", SOLANA, f"solana:{SOLANA}?amount=0.15"),
    ]


def a_deposit(**more: object) -> dict[str, object]:
    return {
        "asset": "BTC.bitcoin",
        "amount": "0.00020000",
        "txid": "9f" * 32,
        "state": "included",
        "confirmations": 1,
        "confirmations_required": 2,
        **more,
    }


def an_invoice(**more: object) -> dict[str, Any]:
    return {
        "id": "inv_0",
        "status": "new",
        "amount": "25.00",
        "currency": "EUR",
        "customer_fee": "0.00",
        "created_at": "2026-01-02T03:00:05.000Z",
        "expires_at": "2026-01-02T03:15:05.000Z",
        "success_url": None,
        "cancel_url": None,
        "payment_options": options(),
        "deposits": [],
        "deposits_count": 0,
        "refunds": [],
        "refunds_count": 0,
        "cause": {"type": "created", "at": "2026-01-02T03:04:05.000Z", "trace_id": "ab" * 16},
        **more,
    }


def rendered(language: str = "en", socket_url: str | None = None, **more: object) -> str:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    view = View(an_invoice(**more), "e" * 32, now, socket_url, PLACES)
    return PAGE.render(view, language).decode()
