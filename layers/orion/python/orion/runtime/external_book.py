"""Composition of the external book's writer: other credentials, another database."""

from collections.abc import Mapping
from functools import cache

from orion.adapters.postgres.external_book import PostgresExternalBook
from orion.adapters.postgres.session import Database
from orion.log.external_book.service import write_partition
from orion.runtime.kafka import each_partition
from orion.runtime.log import logger
from orion.runtime.settings import postgres_config

PRINCIPAL = "external-book"


@cache
def _book() -> PostgresExternalBook:
    return PostgresExternalBook(Database(postgres_config(PRINCIPAL)))


def write(event: Mapping[str, object]) -> Mapping[str, int]:
    """Write the records of one `aws:kafka` event of `ledger.posted`. What cannot be written raises:
    its partition stops.
    """
    logger()
    results = each_partition(event, lambda records: write_partition(_book(), records))
    counts = {
        "records": sum(result.records for result in results),
        "entries": sum(result.entries for result in results),
        "repeated": sum(result.repeated for result in results),
    }
    logger().info("external book batch", extra=counts)
    return counts
