"""Apache Kafka 4.1 (KRaft, one node) in the place of MSK: TLS on every listener, SCRAM, access
lists.

SCRAM cannot serve the controller quorum, because its users are stored in what the quorum
replicates: the controller listener speaks SASL PLAIN inside TLS (Kafka documentation,
"Authentication using SASL").
"""

import base64
import secrets
from pathlib import Path
from typing import ClassVar

from infra.local import topics
from infra.local.authority import write_private
from infra.local.engine import Command, Engine, NotReady, tool_path
from infra.local.failure import EngineFailure
from infra.local.kafka_admin import KafkaAdmin
from infra.local.layout import LOOPBACK, Credentials
from infra.local.processes import run_to_log

_ADMIN = "admin"
_FORMAT_TIMEOUT_S = 60
_LOG4J = """\
status = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server
logger.server.level = info
logger.config.name = org.apache.kafka.common.config
logger.config.level = error
"""
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=CLIENT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=CLIENT://{host}:{port}
listener.security.protocol.map=CLIENT:SASL_SSL,CONTROLLER:SASL_SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENT
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.client.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required \
username="{user}" password="{password}";
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required username="{user}" \
password="{controller_password}" user_{user}="{controller_password}";
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
ssl.client.auth=none
ssl.endpoint.identification.algorithm=https
ssl.enabled.protocols=TLSv1.3,TLSv1.2
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{user}
allow.everyone.if.no.acl.found=false
auto.create.topics.enable=false
log.dirs={log_dirs}
num.network.threads=2
num.io.threads=4
background.threads=2
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
log.segment.bytes=67108864
message.max.bytes=1048588
"""
_JVM = (
    "-Xmx384m",
    "-Xms128m",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
)


class Kafka(Engine):
    """The broker with its topics, one SCRAM user for each principal of `infra/topics.toml`, and
    their ACLs.
    """

    name: ClassVar[str] = "kafka"
    ports: ClassVar[tuple[str, ...]] = ("kafka", "kafka-controller")
    ready_timeout_s: ClassVar[float] = 60.0

    @property
    def bootstrap_servers(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def controller_port(self) -> int:
        return self._layout.port("kafka-controller")

    @property
    def ca_path(self) -> str:
        return str(self.authority.ca_path)

    @property
    def ca_pem(self) -> str:
        return self.authority.ca_pem

    @property
    def admin(self) -> Credentials:
        return self._layout.credentials("kafka", _ADMIN)

    @property
    def principals(self) -> tuple[str, ...]:
        """All principals but `admin`."""
        return topics.load().principals

    def credentials(self, principal: str) -> Credentials:
        """SCRAM user and password of a principal."""
        return self._layout.credentials("kafka", principal)

    @property
    def _configuration(self) -> Path:
        return self.data / "server.properties"

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        authority = self.authority
        keystore = self.data / "keystore.pem"
        write_private(
            keystore, authority.key_path.read_bytes() + authority.certificate_path.read_bytes()
        )
        (self.data / "log4j2.properties").write_text(_LOG4J)
        write_private(
            self._configuration,
            _PROPERTIES.format(
                host=LOOPBACK,
                port=self.port,
                controller_port=self.controller_port,
                user=_ADMIN,
                password=self.admin.password,
                controller_password=self._layout.secret("kafka/controller"),
                keystore=keystore,
                truststore=authority.ca_path,
                log_dirs=self.data / "log",
            ).encode(),
        )
        if not (self.data / "log" / "meta.properties").exists():
            self._format()

    def _format(self) -> None:
        # KRaft's cluster id: 16 random bytes as URL-safe base64 without padding, not beginning with
        # "-".
        cluster_id = (
            base64.urlsafe_b64encode(b"\x01" + secrets.token_bytes(15)).decode().rstrip("=")
        )
        admin = self.admin
        scram = f"SCRAM-SHA-512=[name={admin.username},password={admin.password}]"
        argv = (
            *self._java("-Xmx128m"),
            "kafka.tools.StorageTool",
            "format",
            "-t",
            cluster_id,
            "-c",
            str(self._configuration),
            "--add-scram",
            scram,
        )
        if not run_to_log(argv, self.log, timeout_s=_FORMAT_TIMEOUT_S):
            raise EngineFailure(
                self.name,
                "its data folder could not be formatted",
                log=self.log,
                mend=f"make down and delete {self.data}",
            )

    def _java(self, *options: str) -> tuple[str, ...]:
        log4j = self.data / "log4j2.properties"
        return (
            tool_path("java"),
            *options,
            f"-Dlog4j2.configurationFile={log4j}",
            "-cp",
            f"{tool_path('kafka-libs')}/*",
        )

    def command(self) -> Command:
        argv = (*self._java(*_JVM), "kafka.Kafka", str(self._configuration))
        return Command(argv, cwd=self.data)

    def check(self) -> None:
        try:
            with KafkaAdmin(self.bootstrap_servers, self.ca_path, self.admin) as admin:
                admin.topic_partitions()
        except ConnectionError as exc:
            raise NotReady(str(exc)) from exc

    def provision(self) -> None:
        plan = topics.load()
        with KafkaAdmin(self.bootstrap_servers, self.ca_path, self.admin) as admin:
            admin.ensure_users(tuple(self.credentials(name) for name in plan.principals))
            admin.ensure_topics(plan.topics)
            admin.ensure_rules(plan.rules)
