"""Kafka event source mappings as the synthesized template states them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

_MAPPING = "AWS::Lambda::EventSourceMapping"
_SCRAM = "SASL_SCRAM_512_AUTH"
_KAFKA_DESTINATION = "kafka://"
# AWS's values where a template says nothing (CreateEventSourceMapping).
_BATCH_SIZE = 100
_WINDOW_S = 0.5
_RETRIES_INFINITE = -1

Json = Mapping[str, object]


class TemplateUnreadable(Exception):
    """The template does not say what a poller must know."""


@dataclass(frozen=True, slots=True)
class KafkaMapping:
    """One mapping. `cluster_parameter` and `secret_parameter` are names of SSM parameters."""

    logical_id: str
    function: str
    function_timeout_s: int
    topic: str
    group: str
    batch_size: int
    window_s: float
    retries_max: int
    bisect: bool
    dead_letter_topic: str | None
    from_start: bool
    cluster_parameter: str
    secret_parameter: str

    @property
    def never_skips(self) -> bool:
        """Without a destination and a bound, a record is retried until it is processed."""
        return self.retries_max == _RETRIES_INFINITE and self.dead_letter_topic is None

    @property
    def servers_parameter(self) -> str:
        return self.cluster_parameter.removesuffix("cluster-arn") + "bootstrap-servers"

    @property
    def authority_parameter(self) -> str:
        return self.cluster_parameter.removesuffix("cluster-arn") + "ca-pem"


def read_template(path: Path) -> Json:
    """The template as JSON. Raises TemplateUnreadable."""
    try:
        return cast(Json, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as exc:
        raise TemplateUnreadable(f"{path}: {exc}") from exc


def mappings(template: Json) -> list[KafkaMapping]:
    """All Kafka mappings of the template, by logical id. Raises TemplateUnreadable."""
    resources = _object(template, "Resources")
    return [
        _mapping(template, logical_id)
        for logical_id in sorted(resources)
        if _is_kafka(_object(resources, logical_id))
    ]


def mapping(template: Json, logical_id: str) -> KafkaMapping:
    """One Kafka mapping. Raises TemplateUnreadable when there is none of this logical id."""
    for found in mappings(template):
        if found.logical_id == logical_id:
            return found
    raise TemplateUnreadable(f"no Kafka event source mapping {logical_id}")


def _is_kafka(resource: Json) -> bool:
    return resource.get("Type") == _MAPPING and "Topics" in _object(resource, "Properties")


def _mapping(template: Json, logical_id: str) -> KafkaMapping:
    properties = _object(_object(_object(template, "Resources"), logical_id), "Properties")
    function = _referred(template, "Resources", properties.get("FunctionName"))
    function_properties = _object(function, "Properties")
    topics = cast(list[str], properties["Topics"])
    if len(topics) != 1:
        raise TemplateUnreadable(f"{logical_id}: a mapping has one topic")
    config = _object(properties, "AmazonManagedKafkaEventSourceConfig")
    access = cast(list[Json], properties.get("SourceAccessConfigurations") or [])
    secrets = [row["URI"] for row in access if row.get("Type") == _SCRAM]
    if len(secrets) != 1:
        raise TemplateUnreadable(f"{logical_id}: a mapping has one {_SCRAM} secret")
    return KafkaMapping(
        logical_id=logical_id,
        function=str(function_properties["FunctionName"]),
        function_timeout_s=_whole(function_properties, "Timeout", 3),
        topic=topics[0],
        group=str(config["ConsumerGroupId"]),
        batch_size=_whole(properties, "BatchSize", _BATCH_SIZE),
        window_s=float(_whole(properties, "MaximumBatchingWindowInSeconds", -1))
        if "MaximumBatchingWindowInSeconds" in properties
        else _WINDOW_S,
        retries_max=_whole(properties, "MaximumRetryAttempts", _RETRIES_INFINITE),
        bisect=bool(properties.get("BisectBatchOnFunctionError", False)),
        dead_letter_topic=_destination(logical_id, properties),
        from_start=properties.get("StartingPosition") == "TRIM_HORIZON",
        cluster_parameter=_parameter(template, properties.get("EventSourceArn")),
        secret_parameter=_parameter(template, secrets[0]),
    )


def _destination(logical_id: str, properties: Json) -> str | None:
    config = cast(Json, properties.get("DestinationConfig") or {})
    failure = cast(Json, config.get("OnFailure") or {})
    destination = failure.get("Destination")
    if destination is None:
        return None
    text = str(destination)
    if not text.startswith(_KAFKA_DESTINATION):
        raise TemplateUnreadable(f"{logical_id}: the failure destination is no Kafka topic")
    return text.removeprefix(_KAFKA_DESTINATION)


def _parameter(template: Json, reference: object) -> str:
    return str(_referred(template, "Parameters", reference)["Default"])


def _referred(template: Json, section: str, reference: object) -> Json:
    if not isinstance(reference, dict) or set(reference) != {"Ref"}:
        raise TemplateUnreadable(f"expected a Ref into {section}, found {reference!r}")
    return _object(_object(template, section), str(reference["Ref"]))


def _object(parent: Json, name: str) -> Json:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise TemplateUnreadable(f"{name} is missing")
    return cast(Json, value)


def _whole(parent: Json, name: str, default: int) -> int:
    value = parent.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TemplateUnreadable(f"{name} is not a whole number")
    return value
