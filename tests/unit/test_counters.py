"""What memcached holds of a counted caller says nothing of the caller."""

import hashlib

from orion.runtime.counters import hidden

NAME = "sockets:203.0.113.7"
SECRET = "arn:aws:kms:eu-west-1:000000000000:key/6f1d1c1e-95a1-4d0c-9a5e-3f0e1b7a2c44"


def test_functions_of_a_stage_count_one_caller_together() -> None:
    assert hidden(NAME, SECRET) == hidden(NAME, SECRET)
    assert hidden(NAME, SECRET) != hidden("sockets:203.0.113.8", SECRET)


def test_a_counters_key_cannot_be_made_without_the_stages_secret() -> None:
    key = hidden(NAME, SECRET)
    assert key != hidden(NAME, SECRET[:-1])
    for digest in (hashlib.sha256, hashlib.blake2b):
        assert digest(NAME.encode()).hexdigest()[:32] not in key
    assert "203.0.113.7" not in key
    assert NAME.encode().hex() not in key
