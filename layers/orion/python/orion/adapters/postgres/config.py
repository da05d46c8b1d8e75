"""Where PostgreSQL is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class PostgresConfig:
    """`ca_pem` None trusts the system's authorities; always TLS with the host verified."""

    host: str
    port: int
    user: str
    password: str
    database: str
    ca_pem: str | None

    def __repr__(self) -> str:
        return f"PostgresConfig({self.user}@{self.host}:{self.port}/{self.database})"
