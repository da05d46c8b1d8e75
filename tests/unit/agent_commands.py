"""Commands as an issuer makes them, with keys of the tests' own."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node_stacks.agent.commands.command import read_issuers
from node_stacks.agent.events import Source
from orion.log.node_commands.command import NodeCommand
from orion.records import canonical_json

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SOURCE = Source("bitcoin", "regtest", "bitcoin-1")
ISSUER_KEY = generate_private_key(SECP256R1())
TXID = "ab" * 32
ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
ARGUMENTS = {"height": 7, "items": [{"txid": TXID, "index": 0, "address": ADDRESS}]}


def issuers_text(key: EllipticCurvePrivateKey = ISSUER_KEY) -> str:
    """The parameter `nodes/command-issuers`."""
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    row = {"public_key": base64.b64encode(spki).decode(), "commands": ["balances"]}
    return canonical_json({"reconciliation": row}).decode()


ISSUERS = read_issuers(issuers_text())


def command(number: int = 1, **changed: Any) -> NodeCommand:
    """A command of this test's issuer that expires in a minute."""
    fields: dict[str, Any] = {
        "id": number.to_bytes(16, "big"),
        "trace_id": "0" * 32,
        "name": "balances",
        "issuer": "reconciliation",
        "purpose": "reconciliation",
        "chain": "bitcoin",
        "node": "bitcoin-1",
        "expires_at": NOW + timedelta(seconds=60),
        "arguments": ARGUMENTS,
    }
    return NodeCommand(**(fields | changed))


def signed(body: Mapping[str, object], key: EllipticCurvePrivateKey = ISSUER_KEY) -> bytes:
    """Any body with an issuer's signature, written without the product's own code."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    signature = base64.b64encode(key.sign(text.encode(), ECDSA(SHA256()))).decode()
    return json.dumps({**body, "signature": signature}).encode()


def record(made: NodeCommand, key: EllipticCurvePrivateKey = ISSUER_KEY) -> bytes:
    """The command as the outbox sends it, signed as KMS signs with MessageType DIGEST."""
    return canonical_json(made.signed(key.sign(made.digest(), ECDSA(Prehashed(SHA256())))))
