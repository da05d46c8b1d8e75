"""Counters of callers in the stage's memcached, under names that say nothing of them.

Memcached asks nobody who he is: whoever reaches it may list its keys, and an address is guessed
from a plain digest in seconds. So names are hashed with a key that every function of the stage can
make, and memcached cannot: they must agree, or they would not count together. It is made of the ARN
of a KMS key, whose name is 122 random bits. Whoever may read the stage's parameters can make it
too.
"""

import hashlib

from orion.runtime.cache import cache
from orion.runtime.settings import settings

# Each stage has its own, and it stays for the life of the stage.
PARAMETER = "keys/service-secrets-arn"
_DIGEST_BYTES = 16


def count(name: str, expires_s: int) -> int | None:
    """Add one to the counter `name`, as `Cache.count`. Raises MissingSetting, Unavailable."""
    return cache().count(hidden(name, settings().text(PARAMETER)), expires_s)


def hidden(name: str, secret: str) -> str:
    """The key in memcached of a counter: the same for the same name and secret."""
    key = hashlib.sha256(b"orion-counter-1" + secret.encode()).digest()
    digest = hashlib.blake2b(name.encode(), key=key, digest_size=_DIGEST_BYTES).hexdigest()
    return f"counter:{digest}"
