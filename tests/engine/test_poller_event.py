"""The event that a poller builds, beside the one that AWS documents; and what it makes of
failures.
"""

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from infra.local.poller_event import EVENT_BYTES_MAX, Fetched, event
from infra.local.poller_partition import Partition, Policy, Verdict, mixed_batch
from orion.runtime.kafka import partitions

CLUSTER = (
    "arn:aws:kafka:us-east-1:123456789012:cluster/vpc-2priv-2pub/"
    "751d2973-a626-431c-9d4e-d7975eb44dd7-2"
)
SERVERS = (
    "b-2.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092,"
    "b-1.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092"
)
# AWS Lambda Developer Guide, "Using Lambda with Amazon MSK": the example event.
DOCUMENTED = {
    "eventSource": "aws:kafka",
    "eventSourceArn": CLUSTER,
    "bootstrapServers": SERVERS,
    "records": {
        "mytopic-0": [
            {
                "topic": "mytopic",
                "partition": 0,
                "offset": 15,
                "timestamp": 1545084650987,
                "timestampType": "CREATE_TIME",
                "key": "abcDEFghiJKLmnoPQRstuVWXyz1234==",
                "value": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
                "headers": [
                    {"headerKey": [104, 101, 97, 100, 101, 114, 86, 97, 108, 117, 101]},
                ],
            }
        ]
    },
}
BOUNDED = Policy(batch_size=8, window_s=0.0, retries_max=2, bisect=True, never_skips=False)
NEVER = Policy(batch_size=8, window_s=0.0, retries_max=-1, bisect=False, never_skips=True)


def record(offset: int, *, partition: int = 0, value: bytes = b"{}") -> Fetched:
    return Fetched("mytopic", partition, offset, 1, "CREATE_TIME", b"k", value, ())


def filled(policy: Policy, count: int) -> Partition:
    partition = Partition(policy)
    for offset in range(count):
        partition.add(record(offset), 0.0)
    return partition


def test_the_event_is_the_one_that_aws_documents() -> None:
    documented = Fetched(
        topic="mytopic",
        partition=0,
        offset=15,
        timestamp_ms=1545084650987,
        timestamp_type="CREATE_TIME",
        key=base64.b64decode("abcDEFghiJKLmnoPQRstuVWXyz1234=="),
        value=b"Hello, this is a test.",
        headers=(("headerKey", b"headerValue"),),
    )
    built = json.loads(event([documented], cluster_arn=CLUSTER, bootstrap_servers=SERVERS))
    # The documentation's key has padding bits that no encoder writes; its bytes are the same.
    built["records"]["mytopic-0"][0]["key"] = DOCUMENTED["records"]["mytopic-0"][0]["key"]  # type: ignore[index]
    assert built == DOCUMENTED


def test_header_bytes_above_127_are_negative_as_lambda_writes_them() -> None:
    odd = Fetched("t", 0, 0, 1, "CREATE_TIME", None, b"", (("h", bytes([127, 128, 255])),))
    built = json.loads(event([odd], cluster_arn=CLUSTER, bootstrap_servers=SERVERS))
    assert built["records"]["t-0"][0]["headers"] == [{"h": [127, -128, -1]}]


def test_the_product_reads_a_mixed_event_partition_by_partition() -> None:
    built = event(
        [record(3), record(4), record(9, partition=1)],
        cluster_arn=CLUSTER,
        bootstrap_servers=SERVERS,
    )
    read = partitions(json.loads(built))
    assert [[(r.partition, r.offset) for r in part] for part in read] == [
        [(0, 3), (0, 4)],
        [(1, 9)],
    ]


@given(st.lists(st.integers(0, 1_500_000), min_size=1, max_size=12))
def test_an_event_stays_below_its_limit_unless_one_record_alone_is_larger(
    sizes: list[int],
) -> None:
    healthy = []
    for number, size in enumerate(sizes):
        partition = Partition(BOUNDED)
        for offset in range(2):
            partition.add(record(offset, partition=number, value=bytes(size)), 0.0)
        healthy.append(partition)
    chosen = mixed_batch(healthy, BOUNDED.batch_size)
    records = [row for _, batch in chosen for row in batch]
    assert records
    total = len(event(records, cluster_arn=CLUSTER, bootstrap_servers=SERVERS))
    assert total <= EVENT_BYTES_MAX + 1_000 or len(records) == 1


@given(st.sets(st.integers(0, 19), max_size=4))
def test_exactly_the_poisonous_records_are_set_aside_and_the_order_is_kept(
    poison: set[int],
) -> None:
    partition, now_s = filled(BOUNDED, 20), 0.0
    processed: list[int] = []
    aside: list[int] = []
    for _ in range(2_000):
        if not partition.pending:
            break
        now_s += 60.0
        offsets = [row.offset for row in partition.take(BOUNDED.batch_size, EVENT_BYTES_MAX)]
        if poison.isdisjoint(offsets):
            processed += offsets
            partition.done(now_s)
        elif partition.failed(now_s, function_said_so=True) is Verdict.SET_ASIDE:
            aside += offsets
            partition.done(now_s)
    assert processed == [offset for offset in range(20) if offset not in poison]
    assert aside == sorted(poison)


def test_an_unknown_outcome_never_sets_a_record_aside() -> None:
    partition = filled(BOUNDED, 1)
    for attempt in range(100):
        assert partition.take(8, EVENT_BYTES_MAX)
        verdict = partition.failed(float(attempt * 60), function_said_so=False)
        assert verdict is Verdict.RETRY


def test_the_same_batch_is_tried_again_though_more_records_have_come() -> None:
    partition = filled(NEVER, 3)
    first = list(partition.take(8, EVENT_BYTES_MAX))
    partition.failed(0.0, function_said_so=True)
    partition.add(record(3), 0.0)
    assert list(partition.take(8, EVENT_BYTES_MAX)) == first


def test_a_mapping_that_never_skips_says_stopped_and_keeps_trying() -> None:
    partition = filled(NEVER, 1)
    verdicts = []
    for attempt in range(12):
        partition.take(8, EVENT_BYTES_MAX)
        verdicts.append(partition.failed(float(attempt * 60), function_said_so=True))
    assert Verdict.STOPPED in verdicts
    assert set(verdicts) <= {Verdict.RETRY, Verdict.STOPPED}
