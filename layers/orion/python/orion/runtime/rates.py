"""The composition of rates inside the network: what keeps the market's tickers, and what reads
them.
"""

from collections.abc import Mapping, Sequence
from functools import cache as once

from orion.adapters.mysql.billing_rates import MySqlRateStore
from orion.adapters.mysql.session import Database
from orion.billing.rates.keeping import TickerKeeping
from orion.billing.rates.message import read
from orion.billing.rates.model import Ticker
from orion.billing.rates.source import RateSource
from orion.records import parse_json
from orion.runtime.cache import cache
from orion.runtime.clock import now
from orion.runtime.log import logger, set_trace_id
from orion.runtime.settings import mysql_config


@once
def source() -> RateSource:
    """Where invoices get their rates from."""
    return RateSource(cache())


@once
def keeping() -> TickerKeeping:
    """A single writer or two: directly at the database."""
    config = mysql_config("billing", "orion_billing", direct=True)
    return TickerKeeping(MySqlRateStore(Database(config)), cache(), now)


def results(event: Mapping[str, object]) -> Mapping[str, object]:
    """Rounds of the exchanges. Messages that failed are named, so that SQS repeats only them."""
    log = logger()
    records = event.get("Records")
    messages: Sequence[Mapping[str, str]] = records if isinstance(records, list) else []
    failed: list[Mapping[str, str]] = []
    kept = 0
    for message in messages:
        try:
            kept += len(_keep(message["body"]))
        except Exception:
            # Whatever it was, the queue keeps the message, counts its tries and sets it aside in
            # the end.
            log.exception("tickers not kept")
            failed.append({"itemIdentifier": message["messageId"]})
    log.info("tickers kept", extra={"tickers": kept, "failed": len(failed)})
    return {"batchItemFailures": failed}


def _keep(text: str) -> Sequence[Ticker]:
    body = parse_json(text.encode())
    set_trace_id(str(body.get("trace_id")))
    tickers = read(body, now())
    keeping().keep(tickers)
    return tickers
