"""`infra/topics.toml` as data: topics, principals and the access lists that follow from them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from infra.local.failure import StackFailure

TOPICS_FILE = Path(__file__).resolve().parents[1] / "topics.toml"
ALL = "*"
CLUSTER = "kafka-cluster"


class Resource(StrEnum):
    TOPIC = "topic"
    GROUP = "group"
    CLUSTER = "cluster"


class Operation(StrEnum):
    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"
    CREATE = "create"
    ALTER = "alter"
    ALTER_CONFIGS = "alter_configs"
    DESCRIBE_CONFIGS = "describe_configs"


@dataclass(frozen=True, slots=True)
class Consumer:
    """`group` is a consumer group's name, or a prefix of it when `prefixed`."""

    principal: str
    group: str
    prefixed: bool


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    partitions: int
    retention_h: int
    producers: tuple[str, ...]
    consumers: tuple[Consumer, ...]


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """`principal` may do `operation` on the resource, from this machine or any other."""

    principal: str
    resource: Resource
    name: str
    prefixed: bool
    operation: Operation


@dataclass(frozen=True, slots=True)
class Plan:
    """What the file says."""

    topics: tuple[Topic, ...]
    administrators: tuple[str, ...]

    @property
    def principals(self) -> tuple[str, ...]:
        """Everybody that the file names, sorted."""
        named = set(self.administrators)
        for topic in self.topics:
            named.update(topic.producers)
            named.update(consumer.principal for consumer in topic.consumers)
        return tuple(sorted(named))

    @property
    def rules(self) -> frozenset[Rule]:
        """The whole access list. Writing includes producing idempotently (KIP-679): no rule of its
        own.
        """
        rules: set[Rule] = set()
        for topic in self.topics:
            for producer in topic.producers:
                rules |= _allow(
                    producer, Resource.TOPIC, topic.name, Operation.WRITE, Operation.DESCRIBE
                )
            for consumer in topic.consumers:
                rules |= _allow(
                    consumer.principal,
                    Resource.TOPIC,
                    topic.name,
                    Operation.READ,
                    Operation.DESCRIBE,
                )
                rules |= _allow(
                    consumer.principal,
                    Resource.GROUP,
                    consumer.group,
                    Operation.READ,
                    Operation.DESCRIBE,
                    prefixed=consumer.prefixed,
                )
        for administrator in self.administrators:
            rules |= _allow(
                administrator,
                Resource.CLUSTER,
                CLUSTER,
                Operation.CREATE,
                Operation.ALTER,
                Operation.DESCRIBE,
                Operation.DESCRIBE_CONFIGS,
            )
            rules |= _allow(
                administrator,
                Resource.TOPIC,
                ALL,
                Operation.CREATE,
                Operation.ALTER,
                Operation.DESCRIBE,
                Operation.ALTER_CONFIGS,
                Operation.DESCRIBE_CONFIGS,
            )
        return frozenset(rules)


def _allow(
    principal: str, resource: Resource, name: str, *operations: Operation, prefixed: bool = False
) -> set[Rule]:
    return {Rule(principal, resource, name, prefixed, operation) for operation in operations}


def load(path: Path = TOPICS_FILE) -> Plan:
    """Read the file. Raises StackFailure that names what is wrong in it."""
    try:
        content = tomllib.loads(path.read_text())
        plan = Plan(
            topics=tuple(_topic(entry) for entry in content["topic"]),
            administrators=tuple(str(name) for name in content["administrators"]),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as exc:
        raise StackFailure(
            f"{path}: {type(exc).__name__} {exc}; to mend: correct the file"
        ) from exc
    names = [topic.name for topic in plan.topics]
    if len(set(names)) != len(names):
        raise StackFailure(f"{path}: a topic is named twice; to mend: correct the file")
    return plan


def _topic(entry: Mapping[str, object]) -> Topic:
    unknown = set(entry) - {"name", "partitions", "retention_h", "producers", "consumers"}
    if unknown:
        raise ValueError(f"unknown field {min(unknown)}")
    return Topic(
        str(entry["name"]),
        _positive(entry["partitions"]),
        _positive(entry["retention_h"]),
        tuple(str(name) for name in _sequence(entry["producers"])),
        tuple(_consumer(consumer) for consumer in _sequence(entry["consumers"])),
    )


def _consumer(entry: object) -> Consumer:
    if not isinstance(entry, dict):
        raise TypeError("a consumer is a table with principal and group")
    group = str(entry["group"])
    if not group.startswith("orion-"):
        raise ValueError(f"group {group} does not begin with orion-")
    return Consumer(str(entry["principal"]), group.removesuffix(ALL), group.endswith(ALL))


def _sequence(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("a list was expected")
    return value


def _positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a positive whole number")
    return value
