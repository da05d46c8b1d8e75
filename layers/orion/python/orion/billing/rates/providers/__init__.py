"""The public tickers of exchanges: what to ask, and what the answer says. No sockets here."""

from collections.abc import Mapping
from types import MappingProxyType

from orion.billing.rates.providers.answer import Provider
from orion.billing.rates.providers.binance import Binance
from orion.billing.rates.providers.coinbase import Coinbase
from orion.billing.rates.providers.kraken import Kraken

PROVIDERS: Mapping[str, Provider] = MappingProxyType(
    {provider.name: provider for provider in (Binance(), Kraken(), Coinbase())}
)
