"""`infra/topics.toml` and the access list that follows from it."""

from pathlib import Path

import pytest

from infra.cloud.function_table import FUNCTIONS
from infra.cloud.names import consumer_group
from infra.local.failure import StackFailure, telling_line
from infra.local.topics import Operation, Resource, load

_HEAD = 'administrators = ["arch"]\n[[topic]]\nname = "a"\nretention_h = 1\nproducers = []\n'


def test_only_producers_write_and_only_consumers_read() -> None:
    plan = load()
    writes = {
        (rule.principal, rule.name) for rule in plan.rules if rule.operation is Operation.WRITE
    }
    reads = {
        (rule.principal, rule.name)
        for rule in plan.rules
        if rule.operation is Operation.READ and rule.resource is Resource.TOPIC
    }
    assert writes == {(who, topic.name) for topic in plan.topics for who in topic.producers}
    assert reads == {
        (each.principal, topic.name) for topic in plan.topics for each in topic.consumers
    }


def test_an_administrator_has_no_right_to_records() -> None:
    operations = {rule.operation for rule in load().rules if rule.principal == "arch"}
    assert not operations & {Operation.READ, Operation.WRITE}


def test_no_consumer_group_is_shared_by_two_principals() -> None:
    owners: dict[str, set[str]] = {}
    for topic in load().topics:
        for each in topic.consumers:
            owners.setdefault(each.group, set()).add(each.principal)
    assert all(len(principals) == 1 for principals in owners.values())


def test_every_mapping_reads_its_topic_in_a_group_that_the_file_gives_its_principal() -> None:
    consumers = {topic.name: topic.consumers for topic in load().topics}
    for row in FUNCTIONS:
        for trigger in row.topics:
            group = consumer_group(row.module, row.file, trigger.part)
            assert any(
                each.principal == trigger.principal
                and (group.startswith(each.group) if each.prefixed else group == each.group)
                for each in consumers[trigger.topic]
            ), group


def test_nobody_may_read_a_topic_that_no_mapping_of_theirs_reads() -> None:
    """But for the agents, who are no functions and read what their nodes are told."""
    mapped = {
        (trigger.topic, trigger.principal, consumer_group(row.module, row.file, trigger.part))
        for row in FUNCTIONS
        for trigger in row.topics
    }
    for topic in load().topics:
        for each in topic.consumers:
            groups = {
                group for name, who, group in mapped if (name, who) == (topic.name, each.principal)
            }
            read = any(
                group.startswith(each.group) if each.prefixed else group == each.group
                for group in groups
            )
            agent = topic.name == "node.commands" and each.principal.startswith("agent-")
            assert read or agent, (topic.name, each.principal)


@pytest.mark.parametrize(
    "rest",
    [
        "partitions = 0\nconsumers = []\n",
        "partitions = true\nconsumers = []\n",
        "partitions = 1\nconsumers = []\ncolour = 1\n",
        'partitions = 1\nconsumers = [{ principal = "user", group = "mine" }]\n',
        "partitions = 1\n",
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "topics.toml"
    path.write_text(_HEAD + rest)
    with pytest.raises(StackFailure, match="to mend: correct the file"):
        load(path)


def test_the_telling_line_of_a_log_is_the_last_that_names_an_error(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("starting\nFATAL: no space left\n\tat frame.one\nbye\n")
    assert telling_line(log) == "FATAL: no space left"
    log.write_text("starting\nbye\n")
    assert telling_line(log) == "bye"
    assert telling_line(tmp_path / "none.log") == ""
