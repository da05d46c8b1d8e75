"""One real payment through the whole system, three times: BTC, ETH and a USDT-like token."""
