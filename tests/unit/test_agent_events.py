"""The bytes that agents and moneyin exchange, as docs/contracts.md fixes them."""

import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_stacks.agent.endpoints import loopback_url, private_socket
from node_stacks.agent.errors import EndpointRefused, SettingsMissing
from node_stacks.agent.events import (
    PART_BYTES_MAX,
    RECENT_MAX,
    Resume,
    Source,
    connected,
    disconnected,
    new_trace_id,
    parse_resume,
)
from node_stacks.agent.node import Point
from node_stacks.agent.settings import read_node_file
from orion.chains import Block, Transfer, chain_names
from orion.records import MalformedRecord, parse_json

ROOT = Path(__file__).parents[2]
FOLLOWED = sorted(path.parent.name for path in (ROOT / "node_stacks").glob("*/node.toml"))
SOURCE = Source("bitcoin", "regtest", "bitcoin-1")
TRACE_ID = "ab" * 16
HASH, PARENT = "11" * 32, "22" * 32
transfers = st.builds(
    Transfer,
    txid=st.just("33" * 32),
    position=st.integers(0, 9999).map("out:{}".format),
    contract=st.none() | st.just("0x" + "cc" * 20),
    sender=st.none() | st.just("0x" + "aa" * 20),
    recipient=st.just("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"),
    units=st.integers(1, 2**256 - 1),
)


def block(rows: tuple[Transfer, ...]) -> Block:
    return Block(HASH, PARENT, 812, 1_700_000_000, rows)


@given(st.lists(transfers, max_size=5).map(tuple))
def test_a_block_event_carries_every_transfer_as_the_contract_says(
    rows: tuple[Transfer, ...],
) -> None:
    (record,) = connected(SOURCE, block(rows), TRACE_ID)
    event = parse_json(record)
    assert event == {
        "v": 1,
        "trace_id": TRACE_ID,
        "kind": "connected",
        "chain": "bitcoin",
        "network": "regtest",
        "node": "bitcoin-1",
        "height": 812,
        "hash": HASH,
        "parent": PARENT,
        "time": 1_700_000_000,
        "part": 0,
        "parts": 1,
        "transfers": [
            {
                "txid": row.txid,
                "position": row.position,
                "contract": row.contract,
                "to": row.recipient,
                "units": str(row.units),
            }
            | ({} if row.sender is None else {"from": row.sender})
            for row in rows
        ],
    }


def test_a_large_block_comes_in_parts_of_bounded_size_that_lose_nothing() -> None:
    rows = tuple(
        Transfer("33" * 32, f"out:{n}", None, None, "bcrt1" + "q" * 39, n + 1)
        for n in range(20_000)
    )
    records = connected(SOURCE, block(rows), TRACE_ID)
    events = [parse_json(record) for record in records]
    assert len(records) > 3
    assert all(len(record) <= PART_BYTES_MAX for record in records)
    assert [(e["part"], e["parts"]) for e in events] == [
        (n, len(records)) for n in range(len(records))
    ]
    found = [row["position"] for e in events for row in e["transfers"]]  # type: ignore[attr-defined]
    assert found == [row.position for row in rows]


def test_a_disconnected_block_names_what_it_was() -> None:
    event = parse_json(disconnected(SOURCE, Point(812, HASH), None, TRACE_ID))
    assert (event["kind"], event["height"], event["hash"], event["parent"]) == (
        "disconnected",
        812,
        HASH,
        None,
    )


def test_every_block_has_a_trace_id_of_its_own() -> None:
    assert len({new_trace_id() for _ in range(100)}) == 100
    assert len(new_trace_id()) == 32


def resume(**changed: object) -> bytes:
    body: dict[str, object] = {
        "v": 1,
        "trace_id": TRACE_ID,
        "kind": "resume",
        "chain": "bitcoin",
        "node": "bitcoin-1",
        "request_id": "q1",
        "recent": [{"height": 5, "hash": "e"}, {"height": 4, "hash": "d"}],
    }
    return json.dumps(body | changed).encode()


def test_a_resume_for_this_node_is_read() -> None:
    points = (Point(5, "e"), Point(4, "d"))
    assert parse_resume(resume(), SOURCE) == Resume("q1", points)
    assert parse_resume(resume(request_id=None, recent=[]), SOURCE) == Resume(None, ())


@pytest.mark.parametrize("changed", [{"node": "x"}, {"chain": "ethereum"}, {"kind": "broadcast"}])
def test_a_command_for_somebody_else_is_not_ours(changed: dict[str, object]) -> None:
    assert parse_resume(resume(**changed), SOURCE) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"v": 2},
        {"recent": None},
        {"recent": [1]},
        {"recent": [{"height": True, "hash": "e"}]},
        {"recent": [{"height": -1, "hash": "e"}]},
        {"recent": [{"height": 5, "hash": 1}]},
        {"recent": [{"height": 5, "hash": "e"}, {"height": 3, "hash": "d"}]},
        {"recent": [{"height": n, "hash": "e"} for n in range(RECENT_MAX, -1, -1)]},
        {"request_id": 7},
        {"request_id": "x" * 65},
    ],
)
def test_a_resume_that_moneyin_never_writes_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(MalformedRecord):
        parse_resume(resume(**changed), SOURCE)


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:8546", "ws://127.0.0.2:1/ws", "ws://[::1]:8546", "ws://localhost:8546"]
)
def test_a_loopback_endpoint_is_accepted(url: str) -> None:
    assert loopback_url(url, frozenset({"ws"})) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ws://0.0.0.0:8546",
        "ws://10.0.0.1:8546",
        "ws://localhost.example.com:8546",
        "ws://127.0.0.1.nip.io:8546",
        "ws://127.0.0.1",
        "ws://127.0.0.1:99999",
        "ws://user:password@127.0.0.1:8546",
        "wss://127.0.0.1:8546",
        "http://127.0.0.1:8546",
        "ws://2130706433:8546",
    ],
)
def test_any_other_endpoint_is_refused(url: str) -> None:
    with pytest.raises(EndpointRefused):
        loopback_url(url, frozenset({"ws"}))


def test_only_a_socket_that_nobody_else_may_open_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "node.ipc"
    with pytest.raises(EndpointRefused, match="no such"):
        private_socket(str(path))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        for mode in (0o755, 0o660, 0o604, 0o700):
            path.chmod(mode)
            with pytest.raises(EndpointRefused, match="0600"):
                private_socket(str(path))
        path.chmod(0o600)
        assert private_socket(str(path)) == str(path)
        link = tmp_path / "link.ipc"
        link.symlink_to(path)
        with pytest.raises(EndpointRefused, match="not a socket"):
            private_socket(str(link))
    plain = tmp_path / "plain"
    plain.touch(0o600)
    with pytest.raises(EndpointRefused, match="not a socket"):
        private_socket(str(plain))


@pytest.mark.parametrize("chain", FOLLOWED)
def test_every_chain_with_nodes_has_a_node_file_that_an_agent_reads(chain: str) -> None:
    file = read_node_file(ROOT / "node_stacks" / chain / "node.toml")
    assert (file.chain, file.name) == (chain, f"{chain}-1")
    assert chain in chain_names()
    assert 0 < file.reorg_depth_max <= RECENT_MAX


def test_a_node_file_that_lacks_a_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('chain = "bitcoin"\n')
    with pytest.raises(SettingsMissing):
        read_node_file(path)
