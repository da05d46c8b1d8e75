"""Names of everything a stage owns; docs/contracts.md ("Names") is the agreement behind them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_STAGE = re.compile(r"[a-z][a-z0-9-]{0,15}")


class StageMalformed(ValueError):
    """The stage would not fit into the names of AWS resources."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One deployment of the whole system, such as `dev` or `prod`."""

    name: str

    def __post_init__(self) -> None:
        if _STAGE.fullmatch(self.name) is None:
            raise StageMalformed(
                f"stage {self.name!r}: 1 to 16 lower-case letters, digits and hyphens,"
                " the first a letter"
            )

    def stack(self, room: str) -> str:
        return f"orion-{self.name}-{room}"

    def own(self, stack: str, purpose: str) -> str:
        """The name of what each stack of functions has for itself, such as the role of its
        schedules: the serverless stack's without its name, `orion-dev-schedules`.
        """
        return self.stack(purpose if stack == "serverless" else f"{stack}-{purpose}")

    def function(self, module: str, file: str, lane: str | None = None) -> str:
        suffix = f"-{lane}" if lane else ""
        return f"orion-{self.name}-{module}-{file}".replace("_", "-") + suffix

    def queue(self, purpose: str) -> str:
        return f"orion-{self.name}-{purpose}"

    def parameter(self, path: str) -> str:
        return f"/orion/{self.name}/{path}"

    def mysql_secret(self, principal: str) -> str:
        return f"orion/{self.name}/mysql/{principal}"

    def postgres_secret(self, principal: str) -> str:
        return f"orion/{self.name}/postgres/{principal}"

    def kafka_secret(self, principal: str) -> str:
        return f"AmazonMSK_orion_{self.name}_{principal}"

    def key_alias(self, purpose: str) -> str:
        return f"alias/orion/{self.name}/{purpose}"

    def custodian_key_alias(self, custodian: int, set_no: int, curve: str) -> str:
        return self.key_alias(f"custodian-{custodian}/set-{set_no}/{curve}")


def consumer_group(module: str, file: str, part: str | None = None) -> str:
    """Kafka consumer group of one mapping; AWS wants it unique among all mappings.

    `part` tells the mappings of one function apart: `orion-moneyin-blocks-bitcoin`.
    """
    group = f"orion-{module}-{file}".replace("_", "-")
    return f"{group}-{part}" if part else group


def logical(*parts: str) -> str:
    """CloudFormation logical id of lower-case names: ("moneyin", "node_answers") ->
    MoneyinNodeAnswers.
    """
    words = re.split(r"[^A-Za-z0-9]+", " ".join(parts))
    return "".join(word[:1].upper() + word[1:] for word in words if word)
