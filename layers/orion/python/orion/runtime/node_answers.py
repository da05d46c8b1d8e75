"""Composition of the log module's reader of `node.answers`."""

import logging
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from orion.adapters.mysql.node_commands import MySqlAnswerStore
from orion.adapters.mysql.session import Database
from orion.errors import Unavailable
from orion.log.node_commands.service import NodeAnswers
from orion.runtime.clock import now
from orion.runtime.kafka import each_partition
from orion.runtime.log import logger
from orion.runtime.metrics import count
from orion.runtime.settings import AWS_CLIENT, NOTHING, mysql_config, stage

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_log = logging.getLogger(__name__)


@cache
def answers() -> NodeAnswers:
    """Its store and the agents' keys, built once a process."""
    database = Database(mysql_config("log", "orion_log", direct=True))
    return NodeAnswers(MySqlAnswerStore(database), _answer_key)


def take_answers(event: Mapping[str, object]) -> Mapping[str, int]:
    """Records of `node.answers`, partition by partition; what is not believed is only logged."""
    logger()
    taken = each_partition(event, lambda records: answers().take(records, now()))
    kept, refused = sum(each.kept for each in taken), sum(each.refused for each in taken)
    if refused:
        count("log", "NodeAnswersRefused", refused)
    _log.info("node answers taken", extra={"kept": kept, "refused": refused})
    return {"kept": kept, "refused": refused}


@cache
def _ssm() -> "SSMClient":
    return boto3.client("ssm", config=AWS_CLIENT)


def _answer_key(node: str) -> str | None:
    """The key that the host of `node` published, as it stands now: a host that is set up anew has
    another one, and this process may be older. Raises Unavailable.
    """
    name = f"/orion/{stage()}/nodes/{node}/answer-key"
    try:
        rows = _ssm().get_parameters(Names=[name])["Parameters"]
    except (BotoCoreError, ClientError) as exc:
        raise Unavailable("the parameters of this stage cannot be read") from exc
    value = rows[0]["Value"] if rows else NOTHING
    return None if value == NOTHING else value
