"""Who is asked first, who last, and who never: a relay's run in this process, against MariaDB and
queues that say what a test wants.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.kafka.config import KafkaConfig
from orion.adapters.kafka.producer import Producer
from orion.adapters.mysql import outbox
from orion.adapters.mysql.outbox import NAMED_KEYS, LeftAlone, OutboxRow, sqs_row
from orion.adapters.mysql.session import Cursor, Database, DatabaseUnavailable
from orion.ids import random_id
from orion.runtime import relay_queue, settings
from orion.runtime.relay_queue import QueueRefused
from orion.runtime.relay_refusals import Refusals
from orion.runtime.relay_run import BATCH_ROWS, LockLost, Run, Waiting
from tests.engine.outbox_scene import NOW, STAGE, emptied_outbox
from tests.engine.queue_scene import (
    LATER,
    NEVER,
    SILENT,
    TAKEN,
    Queues,
    queues_over_the_wire,
)

pytestmark = pytest.mark.engine

A, B = "sqs:a", "sqs:b"


class Context:
    """Lambda's: a relay has `works_s` to work."""

    def __init__(self, works_s: float) -> None:
        self._end_s = time.monotonic() + 25 + works_s

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end_s - time.monotonic()) * 1000)


@pytest.fixture
def database(mysql_admin: MariaDb) -> Iterator[Database]:
    with emptied_outbox(mysql_admin) as found:
        found.run(lambda cursor: cursor.execute("SELECT GET_LOCK('orion-outbox-user', 0)"))
        yield found


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queues]:
    cached = (settings.stage, relay_queue._sqs, relay_queue._queue_url)
    with queues_over_the_wire() as made:
        for name, value in {
            "AWS_ENDPOINT_URL_SQS": made.url,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "ORION_STAGE": STAGE,
        }.items():
            monkeypatch.setenv(name, value)
        for each in cached:
            getattr(each, "cache_clear", int)()
        yield made
    for each in cached:
        getattr(each, "cache_clear", int)()


def message(number: int, to: str = A, key: str = "k") -> OutboxRow:
    return sqs_row(to.removeprefix("sqs:"), key, {"n": number}, random_id())


def store(database: Database, *rows: OutboxRow) -> None:
    database.run(lambda cursor: outbox.append_new(cursor, rows, NOW))


def left(database: Database) -> list[str]:
    def read(cursor: Cursor) -> list[str]:
        cursor.execute("SELECT payload FROM outbox WHERE sent_at IS NULL ORDER BY seq")
        return [row[0].decode() for row in cursor.fetchall()]

    return database.run(read)


def payloads(*numbers: int) -> list[str]:
    return [f'{{"n":{number}}}' for number in numbers]


def run(database: Database, refusals: Refusals | None = None, works_s: float = 20) -> None:
    # No row of these tests goes to a topic: the producer never opens a session.
    nowhere = Producer(KafkaConfig("127.0.0.1:1", "user", "none", ""), "relay-test")
    known = refusals if refusals is not None else Refusals()
    Run(Waiting("user", database), nowhere, Context(works_s), known).everything()


def test_however_many_keys_are_refused_others_of_their_destination_go_on(
    database: Database, queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = NAMED_KEYS + 10
    queues.judge = lambda purpose, body: NEVER if purpose == "a" and body["n"] < bad else TAKEN
    good = range(bad, BATCH_ROWS + 40)
    store(
        database,
        *(message(n, key=f"bad{n}") for n in range(bad)),
        *(message(n, key="good") for n in good),
        message(0, B),
    )
    run(database)
    taken = [number for to, number, said in queues.asked if (to, said) == ("a", TAKEN)]
    assert taken == list(good)
    assert ("b", 0, TAKEN) in queues.asked
    assert left(database) == payloads(*range(bad))
    assert "Messages refused" in capsys.readouterr().out


def test_what_is_behind_a_refused_row_waits_however_many_keys_are_refused(
    database: Database,
) -> None:
    rows = [message(n, key=f"k{n % (NAMED_KEYS + 50)}") for n in range(2 * NAMED_KEYS + 100)]
    store(database, *rows, message(-1, B, key="k0"))
    alone = frozenset((A, f"k{n}".encode()) for n in range(NAMED_KEYS + 1)) | {(B, b"k1")}
    found = database.run(
        lambda cursor: outbox.unsent(cursor, 60, 100_000, LeftAlone(frozenset(), alone))
    )
    others = [row for row in rows if (row.destination, row.key) not in alone]
    assert [unsent.row for unsent in found] == others[:60]


def test_a_message_refused_for_now_fails_the_run_and_is_tried_again_within_it(
    database: Database, queues: Queues
) -> None:
    refusals = iter([LATER])
    queues.judge = lambda _purpose, _body: next(refusals, TAKEN)
    store(database, message(1), message(2, key="other"))
    run(database)
    assert queues.asked[0] == ("a", 1, LATER)
    assert queues.asked[-1] == ("a", 1, TAKEN)
    assert left(database) == []
    queues.judge = lambda _purpose, _body: LATER
    store(database, message(3))
    with pytest.raises(QueueRefused):
        run(database, works_s=1)


def test_a_message_that_is_never_taken_fails_no_run_and_is_tried_once_in_it(
    database: Database, queues: Queues, capsys: pytest.CaptureFixture[str]
) -> None:
    queues.judge = lambda _purpose, body: NEVER if body["n"] == 1 else TAKEN
    store(database, message(1), message(2, key="other"), message(3, B))
    run(database)
    assert sorted(queues.asked) == [("a", 1, NEVER), ("a", 2, TAKEN), ("b", 3, TAKEN)]
    assert left(database) == payloads(1)
    said = capsys.readouterr().out
    assert "Messages refused" in said
    assert "Destinations refusing" not in said


def test_what_stands_behind_a_message_that_is_never_taken_is_not_sent_by_each_run(
    database: Database, queues: Queues
) -> None:
    never, refusals = {1}, Refusals()
    queues.judge = lambda _purpose, body: NEVER if body["n"] in never else TAKEN
    store(database, *(message(n) for n in range(1, 14)), message(20, key="other"))
    run(database, refusals)
    queues.asked.clear()
    store(database, message(21, key="other"))
    run(database, refusals)
    assert queues.asked == [("a", 1, NEVER), ("a", 21, TAKEN)]
    never.clear()
    queues.asked.clear()
    queues.calls = 0
    run(database, refusals)
    assert queues.asked == [("a", number, TAKEN) for number in range(1, 14)]
    assert queues.calls == 3, "the doubt ends with the first one that is taken"
    assert left(database) == []


def test_what_refused_the_last_run_is_tried_last_in_this_one(
    database: Database, queues: Queues
) -> None:
    refusals = Refusals()
    store(database, message(1))
    queues.judge = lambda purpose, _body: LATER if purpose == "a" else TAKEN
    with pytest.raises(QueueRefused):
        run(database, refusals, works_s=1)
    assert refusals.recent() == frozenset(), "a key's refusal is not its queue's"
    refusals.note({A})
    queues.judge = lambda _purpose, _body: TAKEN
    queues.asked.clear()
    store(database, *(message(n, B) for n in range(2, 2 + BATCH_ROWS + 1)))
    run(database, refusals)
    assert queues.asked[-1] == ("a", 1, TAKEN)
    assert left(database) == []
    assert refusals.recent() == frozenset()


def test_a_queue_that_does_not_answer_is_remembered(
    database: Database, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = Refusals()
    store(database, message(1))
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
        with pytest.raises(QueueRefused):
            run(database, refusals, works_s=1)
    assert refusals.recent() == {A}


def test_a_relay_that_lost_its_lock_while_a_queue_hung_asks_no_other(
    database: Database, queues: Queues, mysql_admin: MariaDb
) -> None:
    store(database, message(1), message(2, B))

    def judge(_purpose: str, _body: dict[str, Any]) -> str:
        with mysql_admin.connect() as admin, admin.cursor() as cursor:
            cursor.execute("SELECT IS_USED_LOCK('orion-outbox-user')")
            ((holder,),) = cursor.fetchall()
            if holder is not None:
                cursor.execute(f"KILL CONNECTION {holder:d}")
        return SILENT

    queues.judge = judge
    with pytest.raises((LockLost, DatabaseUnavailable)):
        run(database)
    assert queues.asked == [("a", 1, SILENT)]


@pytest.mark.parametrize("more", [0, 1])
def test_rows_behind_what_is_looked_at_raise_an_alarm(
    database: Database,
    queues: Queues,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: int,
) -> None:
    monkeypatch.setattr(outbox, "LOOK_AHEAD_ROWS", 4)
    queues.judge = lambda purpose, _body: NEVER if purpose == "a" else TAKEN
    store(database, *(message(n, key=f"k{n}") for n in range(4)))
    run(database)
    store(database, *(message(n, B) for n in range(more)))
    capsys.readouterr()
    # The first look of a run leaves nothing alone: what it reads is not out of sight yet.
    monkeypatch.setattr("orion.runtime.relay_run.BATCH_ROWS", 4)
    run(database)
    assert ("Rows out of sight" in capsys.readouterr().out) == bool(more)
    assert len(left(database)) == 4 + more
