"""How a principal reaches the brokers. No Kafka client is loaded by reading it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class KafkaConfig:
    """SASL_SSL with SCRAM-SHA-512. `ca_pem` None trusts the system's authorities."""

    bootstrap_servers: str
    username: str
    password: str
    ca_pem: str | None

    def __repr__(self) -> str:
        return f"KafkaConfig({self.username}@{self.bootstrap_servers})"
