"""Writers, relays, databases, the broker and the books' writers die under traffic; the books agree.

Last of its folder by its name: what it leaves in the ledger has neither causes nor a chain, and a
reconciliation says so. The bench kills two hundred times (`make bench BENCH=chaos`).
"""

import secrets

import pytest

from infra.local import Stack
from tests.bench.chaos import MERCHANTS, grow
from tests.bench.chaos_kills import ONE_OF_EACH, Killer
from tests.bench.chaos_load import Load
from tests.bench.chaos_traffic import Traffic
from tests.bench.chaos_verdict import Books, legs_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

SEED = 4
RECORDS_PER_S = 60.0
SHARDS = 8  # Other tests may have given it some of them.


def test_who_posts_and_who_keeps_the_books_dies_while_buckets_move_and_nothing_is_lost_or_twice(
    running_stack: Stack,
) -> None:
    # Its assets are used by no other test.
    books, killer = Books(running_stack), Killer(running_stack)
    before, traffic = books.base(), Traffic(SEED, secrets.token_hex(4), MERCHANTS)
    with Load(running_stack, traffic, RECORDS_PER_S) as load:
        for count, victim in enumerate(ONE_OF_EACH[:9]):
            killer.kill(victim)
            load.check()
            if count == 1:
                grow(running_stack, SHARDS, wait=False)
        grow(running_stack, SHARDS)
        load.finish()
    books.await_followed(before, traffic.replay)
    books.check(before, traffic.replay)
    assert len(traffic.sent) > 100
    assert legs_of(running_stack) > 0
