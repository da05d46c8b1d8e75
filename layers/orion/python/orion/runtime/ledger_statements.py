"""Composition of statements: the follower that writes them, and what reads them."""

from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.ledger_statement_pages import MySqlStatements
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.adapters.mysql.session import Database
from orion.ledger.following import follow_shard
from orion.ledger.statement import answer, read_question
from orion.runtime.kafka import each_partition
from orion.runtime.log import logger
from orion.runtime.settings import mysql_config


@cache
def _database() -> Database:
    return Database(mysql_config("ledger", "orion_ledger", direct=True))


@cache
def _read_only() -> Database:
    return Database(mysql_config("statements", "orion_ledger", direct=True))


def follow(event: Mapping[str, object]) -> Mapping[str, int]:
    """Follow the shards of one `aws:kafka` event of `ledger.posted`.

    Its records only wake: what is entered is read from the log, up to its end.
    """
    logger()
    follower = MySqlStatementFollower(_database())
    entered = each_partition(event, lambda records: follow_shard(follower, records[0].partition))
    logger().info("statements followed", extra={"records": sum(entered)})
    return {"records": sum(entered)}


def page(event: Mapping[str, object]) -> Mapping[str, object]:
    """One page of an account's statement, with the balance at its moment."""
    logger()
    question = read_question(event)
    return answer(question, MySqlStatements(_read_only()).page(question))
