"""Users, topics and access lists of a broker, made to agree with a plan; safe to repeat."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from types import MappingProxyType, TracebackType
from typing import Any, Self

from confluent_kafka import KafkaException

# Public by their documentation, though the package's stubs do not say so.
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from infra.local.layout import Credentials
from infra.local.topics import Operation, Resource, Rule, Topic

_TIMEOUT_S = 20.0
_POLL_S = 0.02
# While the broker starts, each refused connection would be a line on people's screens.
_SILENT = logging.getLogger("infra.local.kafka_admin")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
_CONNECT_TIMEOUT_S = 1.0
_SCRAM_ITERATIONS = 4096
_RESOURCES: Mapping[Resource, ResourceType] = MappingProxyType(
    {
        Resource.TOPIC: ResourceType.TOPIC,
        Resource.GROUP: ResourceType.GROUP,
        # librdkafka's old name of the cluster resource.
        Resource.CLUSTER: ResourceType.BROKER,
    }
)
_OPERATIONS: Mapping[Operation, AclOperation] = MappingProxyType(
    {operation: AclOperation[operation.name] for operation in Operation}
)


class KafkaAdmin:
    """A connection as an administrator. Raises ConnectionError while the broker does not answer."""

    def __init__(self, bootstrap_servers: str, ca_path: str, user: Credentials) -> None:
        self._client = AdminClient(
            {
                "bootstrap.servers": bootstrap_servers,
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": user.username,
                "sasl.password": user.password,
                "ssl.ca.location": ca_path,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 100,
            },
            logger=_SILENT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The client's threads end with the object."""
        del self._client

    def topic_partitions(self) -> dict[str, int]:
        """Number of partitions by topic."""
        try:
            metadata = self._client.list_topics(timeout=_CONNECT_TIMEOUT_S)
        except KafkaException as exc:
            raise ConnectionError(str(exc)) from exc
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def ensure_users(self, users: Sequence[Credentials]) -> None:
        """Make each SCRAM-SHA-512 user that does not exist yet."""
        described = self._client.describe_user_scram_credentials(request_timeout=_TIMEOUT_S)
        if not isinstance(described, Future):
            raise TypeError("all users were asked for in one answer")
        known = set(described.result(_TIMEOUT_S))
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _SCRAM_ITERATIONS)
        missing: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(user.username, info, user.password.encode())
            for user in users
            if user.username not in known
        ]
        if missing:
            _await_all(
                self._client.alter_user_scram_credentials(missing, request_timeout=_TIMEOUT_S)
            )

    def ensure_topics(self, wanted: Sequence[Topic]) -> None:
        """Make missing topics and add missing partitions; a partition is never taken away."""
        present = self.topic_partitions()
        fresh = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=1,
                config={"retention.ms": str(topic.retention_h * 3_600_000)},
            )
            for topic in wanted
            if topic.name not in present
        ]
        grown = [
            NewPartitions(topic.name, topic.partitions)
            for topic in wanted
            if 0 < present.get(topic.name, 0) < topic.partitions
        ]
        if fresh:
            _await_all(self._client.create_topics(fresh, request_timeout=_TIMEOUT_S))
        if grown:
            _await_all(self._client.create_partitions(grown, request_timeout=_TIMEOUT_S))

    def ensure_rules(self, wanted: Collection[Rule]) -> None:
        """Make the broker's access list exactly `wanted`."""
        present = self._bindings()
        target = {_binding(rule) for rule in wanted}
        missing = [binding for binding in target if binding not in present]
        excess = [_exactly(binding) for binding in present if binding not in target]
        if missing:
            _await_all(self._client.create_acls(missing, request_timeout=_TIMEOUT_S))
        if excess:
            _await_all(self._client.delete_acls(excess, request_timeout=_TIMEOUT_S))
        # The controller answers before the broker's own view has changed.
        deadline = time.monotonic() + _TIMEOUT_S
        while self._bindings() != target:
            if time.monotonic() > deadline:
                raise TimeoutError("the broker does not take over its access list")
            time.sleep(_POLL_S)

    def _bindings(self) -> set[AclBinding]:
        """The access list that the broker enforces now."""
        every = AclBindingFilter(
            ResourceType.ANY,
            None,  # type: ignore[arg-type] # Any.
            ResourcePatternType.ANY,
            None,  # type: ignore[arg-type] # Any.
            None,  # type: ignore[arg-type] # Any.
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        return set(self._client.describe_acls(every, request_timeout=_TIMEOUT_S).result(_TIMEOUT_S))


def _binding(rule: Rule) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if rule.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _RESOURCES[rule.resource],
        rule.name,
        pattern,
        f"User:{rule.principal}",
        "*",
        _OPERATIONS[rule.operation],
        AclPermissionType.ALLOW,
    )


def _exactly(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _await_all(futures: Mapping[Any, Future[Any]]) -> None:
    """Wait for every answer; raises the first refusal."""
    for future in futures.values():
        future.result(_TIMEOUT_S)
