"""What came late to a bucket's old shard is forwarded whole: every record of it, in records that
the outbox can carry.
"""

import json
from collections.abc import Iterator

import pymysql
import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_store, outbox
from orion.adapters.mysql.outbox import OutboxRow
from orion.adapters.mysql.session import Cursor
from orion.ids import fact_id
from orion.ledger.model import Code, Transfer
from orion.ledger.transfer_record import transfers_body
from orion.records import Record, canonical_json
from tests.engine.ledger_shards_scene import NOW, TOPIC, Ledger, emptied
from tests.engine.test_ledger_shards import MOVED, same_as_one_shard
from tests.unit.ledger_shards_world import TRACE, life, step

pytestmark = pytest.mark.engine

STORY = life(MOVED)


@pytest.fixture
def ledger(mysql_admin: MariaDb) -> Iterator[Ledger]:
    with emptied(mysql_admin) as admin:
        opened = Ledger(mysql_admin, admin)
        yield opened
        opened.close()


def handed_over(ledger: Ledger) -> None:
    """The bucket lives in shard 1, with all that was asked so far."""
    ledger.grow(2)
    ledger.drain()


def late(ledger: Ledger, *transfers: Transfer) -> None:
    """A record that a relay without its lock sends to the old shard."""
    records = ledger.partitions[0]
    value = canonical_json(transfers_body(transfers, TRACE))
    records.append(Record(TOPIC, 0, len(records), b"k", value))


def owed(ledger: Ledger) -> list[list[bytes]]:
    """The ids of each record that waits for the relay."""
    found = ledger.rows("SELECT payload FROM outbox WHERE sent_at IS NULL ORDER BY seq")
    return [
        [bytes.fromhex(row["id"]) for row in json.loads(payload)["transfers"]]
        for (payload,) in found
    ]


def test_every_part_of_a_batch_forwards_all_of_its_own(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for transfer in STORY[:4]:
        ledger.ask(transfer)
    handed_over(ledger)
    monkeypatch.setattr(ledger_store, "_PART", 2)
    for transfer in STORY[:4]:
        late(ledger, transfer)
    version = ledger.one("SELECT version FROM shard WHERE shard_no = 0")
    ledger.work(0)
    assert ledger.one("SELECT version FROM shard WHERE shard_no = 0") == version + 1
    assert owed(ledger) == [[transfer.id] for transfer in STORY[:4]]
    ledger.drain()
    same_as_one_shard(ledger, [(transfer,) for transfer in STORY[:4]])


def test_a_forwarded_record_whose_event_is_owed_already_is_a_fault_and_not_swallowed(
    ledger: Ledger,
) -> None:
    ledger.ask(STORY[0])
    handed_over(ledger)
    late(ledger, STORY[0])
    version = ledger.one("SELECT version FROM shard WHERE shard_no = 0")
    body = canonical_json(transfers_body(STORY[:1], TRACE))
    key = ledger.one(
        "SELECT partition_key FROM orion_moneyin.outbox WHERE partition_key LIKE 'bucket:%%'"
    )
    taken = OutboxRow(fact_id("ledger_forwarded", 0, version + 1, 0), f"kafka:{TOPIC}", key, body)

    def take(cursor: Cursor) -> None:
        outbox.append(cursor, [taken], NOW)

    ledger.operator.run(take)
    with pytest.raises(pymysql.err.IntegrityError):
        ledger.work(0)


def test_what_is_too_large_for_one_record_is_forwarded_in_several_with_its_chains_whole(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = [
        step(MOVED, 100 + n, Code.DEPOSIT_CREDIT, 5)._replace(linked=n % 3 != 2) for n in range(30)
    ]
    alone = [step(MOVED, 200 + n, Code.DEPOSIT_CREDIT, 5) for n in range(7)]
    handed_over(ledger)
    late(ledger, *alone, *chain)
    monkeypatch.setattr(outbox, "MAX_PAYLOAD_BYTES", 4_000)
    ledger.work(0)
    found = owed(ledger)
    assert len(found) > 3
    assert [each for record in found for each in record] == [t.id for t in (*alone, *chain)]
    ends = {transfer.id for transfer in chain if transfer.linked}
    assert all(record[-1] not in ends for record in found)
    monkeypatch.undo()
    ledger.drain()
    assert ledger.one("SELECT COUNT(*) FROM transfer WHERE code = 'deposit_credit'") == 37
    assert ledger.rows("SELECT * FROM refusal") == []
