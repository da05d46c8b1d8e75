"""The agent's own key: made at its first start, it never leaves the node's host."""

import base64
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from node_stacks.agent.commands.private_files import open_folder, read_private, write_private
from node_stacks.agent.errors import StateRefused
from orion.records import canonical_json

_FILE = "answer-key.pem"


class AnswerKey:
    """Signs answers."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public_text(self) -> str:
        """The public half for parameter `nodes/<node>/answer-key`: base64 of its
        SubjectPublicKeyInfo (RFC 8410).
        """
        spki = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(spki).decode()

    def signed(self, body: dict[str, object]) -> bytes:
        """The answer as a record: `body` and its `signature` (docs/books.md)."""
        digest = hashlib.sha256(canonical_json(body)).digest()
        signature = base64.b64encode(self._key.sign(digest)).decode()
        return canonical_json({**body, "signature": signature})


def answer_key(folder: Path) -> AnswerKey:
    """The key in the state folder, made where there is none. Raises StateRefused."""
    path = open_folder(folder) / _FILE
    content = read_private(path)
    if content is None:
        made = Ed25519PrivateKey.generate()
        write_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return AnswerKey(made)
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError) as exc:
        raise StateRefused("the answer key cannot be read", path=str(path)) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise StateRefused("the answer key is of another kind", path=str(path))
    return AnswerKey(key)
