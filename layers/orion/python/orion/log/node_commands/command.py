"""Making commands: the record that an agent believes. Pure; the moment is an argument."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from orion.records import canonical_json

COMMANDS_TOPIC = "node.commands"
MAX_LIFE = timedelta(minutes=10)  # Agents refuse what expires further ahead.


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """What `issuer` asks of one node's agent."""

    id: bytes
    trace_id: str
    name: str
    issuer: str
    purpose: str
    chain: str
    node: str
    expires_at: datetime
    arguments: Mapping[str, object]

    def body(self) -> dict[str, object]:
        """The record without its signature."""
        if self.expires_at.tzinfo is None:
            raise ValueError("a moment names its offset from UTC")
        return {
            "v": 1,
            "trace_id": self.trace_id,
            "kind": "command",
            "command": self.name,
            "command_id": self.id.hex(),
            "issuer": self.issuer,
            "purpose": self.purpose,
            "chain": self.chain,
            "node": self.node,
            "expires_at": self.expires_at.isoformat(),
            "arguments": self.arguments,
        }

    def digest(self) -> bytes:
        """What the issuer's key signs: SHA-256 of the canonical JSON without the signature."""
        return hashlib.sha256(canonical_json(self.body())).digest()

    def signed(self, signature: bytes) -> dict[str, object]:
        """The record; `signature` is ECDSA P-256 over `digest`, in DER."""
        return {**self.body(), "signature": base64.b64encode(signature).decode()}
