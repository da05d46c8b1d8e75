"""The composition of the function that asks the exchanges, outside the network: strangers and SQS,
nothing else.
"""

import ssl
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from botocore.exceptions import BotoCoreError, ClientError

from orion.adapters.rates.http import ProviderHttp
from orion.billing.rates.markets import listings
from orion.billing.rates.message import write
from orion.billing.rates.providers import PROVIDERS
from orion.billing.rates.providers.answer import Provider
from orion.billing.rates.round import Report, ask
from orion.errors import Unavailable
from orion.records import canonical_json
from orion.runtime.clock import now
from orion.runtime.log import logger, new_trace_id, set_trace_id, trace_id
from orion.runtime.metrics import count
from orion.runtime.settings import MissingSetting, Settings, settings
from orion.runtime.wakeup import queue_url, sqs

_PARAMETER = "rates/providers"
_QUEUE = "rate-results"


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def base_urls(known: Settings) -> Mapping[str, str]:
    """Base URL by provider; one that is not named is not asked. Raises MissingSetting."""
    urls = known.document(_PARAMETER)
    found: dict[str, str] = {}
    for name, url in urls.items():
        if name not in PROVIDERS or not isinstance(url, str):
            raise MissingSetting("not a base URL of a provider of ours", parameter=_PARAMETER)
        found[name] = url
    return found


def fetch() -> Mapping[str, int]:
    """One round: every provider at the same time, one message for each. Run by the schedule.

    Raises Unavailable when no message was sent.
    """
    log = logger()
    set_trace_id(new_trace_id())
    trace = trace_id()
    urls = base_urls(settings())
    # Built before the threads start, so that they share one of each.
    _trust(), queue_url(_QUEUE)
    with ThreadPoolExecutor(max_workers=len(PROVIDERS)) as pool:
        reports = list(pool.map(lambda name: _round(name, urls[name], trace), urls))
    sent = [report for report in reports if report is not None]
    if urls and not sent:
        raise Unavailable("no provider's tickers were sent")
    refused = Counter(reason.value for report in sent for reason in report.refused.values())
    for reason, number in sorted(refused.items()):
        count("billing", f"ticker_{reason}", number)
    tickers = sum(len(report.tickers) for report in sent)
    log.info("rates fetched", extra={"tickers": tickers, "refused": dict(refused)})
    return {"providers": len(sent), "tickers": tickers, "refused": refused.total()}


def _round(name: str, url: str, trace: str) -> Report | None:
    """None where the answers could not be sent on: the others' are, and the next minute comes."""
    provider: Provider = PROVIDERS[name]
    report = ask(provider, listings(name), ProviderHttp(url, _trust()).get, now())
    try:
        sqs().send_message(
            QueueUrl=queue_url(_QUEUE), MessageBody=canonical_json(write(report, trace)).decode()
        )
    except (BotoCoreError, ClientError):
        logger().exception("tickers not sent", extra={"provider": name})
        return None
    logger().info(
        "provider asked",
        extra={
            "trace": trace,
            "provider": name,
            "tickers": len(report.tickers),
            "refused": {market: reason.value for market, reason in report.refused.items()},
        },
    )
    return report
