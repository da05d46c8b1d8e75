"""The agent beside btcd, and beside Bitcoin Core's ZMQ form; the test plays moneyin."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from infra.local.stack import Stack
from tests.engine.agent_scene import Moneyin, Scene

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Engines of this module's own: its tests kill some of them."""
    folder = tmp_path_factory.mktemp("agents")
    stack = Stack(folder / "stack")
    try:
        stack.up(("kafka", "ministack", "btcd"))
        yield Scene(stack, Path(folder))
    finally:
        stack.down()


@pytest.fixture
def name(scene: Scene) -> str:
    """A node of its own, with a chain of at least five blocks."""
    scene.bitcoin("generate", 5)
    return scene.node("bitcoin", ws_url=scene.stack.btcd.ws_url)


def head(scene: Scene) -> tuple[int, str]:
    found = scene.bitcoin("getblockchaininfo")
    return found["blocks"], found["bestblockhash"]


def test_blocks_are_published_in_order_from_the_tip_on(scene: Scene, name: str) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    first = head(scene)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == first)
        hashes = scene.bitcoin("generate", 4)
        moneyin.until(lambda: moneyin.top() == (first[0] + 4, hashes[-1]))
    assert [name for _, name in moneyin.blocks] == [first[1], *hashes]
    paid = moneyin.transfers()[-1]
    assert paid["to"] == scene.stack.btcd.faucet_address
    assert (paid["position"], paid["contract"]) == ("out:0", None)
    assert int(paid["units"]) > 0
    assert moneyin.events[-1]["network"] == "regtest"


def test_a_killed_agent_resumes_without_a_gap(scene: Scene, name: str) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    process = scene.start_agent("bitcoin", name)
    first = head(scene)
    moneyin.until(lambda: moneyin.top() == first)
    scene.bitcoin("generate", 2)
    process.kill()
    process.wait()
    scene.bitcoin("generate", 3)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
    assert [height for height, _ in moneyin.blocks] == list(range(first[0], first[0] + 6))
    assert len(moneyin.requests) == 2


def test_a_two_block_reorg_disconnects_newest_first_and_connects_in_order(
    scene: Scene, name: str
) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
        old = scene.bitcoin("generate", 2)
        moneyin.until(lambda: moneyin.top() == head(scene))
        height = head(scene)[0]
        scene.bitcoin("invalidateblock", old[0])
        new = scene.bitcoin("generate", 3)
        moneyin.until(lambda: moneyin.top() == (height + 1, new[-1]))
    gone = [(e["hash"], e["parent"]) for e in moneyin.events if e["kind"] == "disconnected"]
    before = moneyin.events[0]["hash"]
    assert gone == [(old[1], old[0]), (old[0], before)]
    assert [name for _, name in moneyin.blocks][-3:] == new


def test_a_longer_chain_that_came_between_two_looks_is_told_by_its_parent_hash(
    scene: Scene, name: str
) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name) as process:
        moneyin.until(lambda: moneyin.top() == head(scene))
        old = scene.bitcoin("generate", 3)
        moneyin.until(lambda: moneyin.top() == head(scene))
        process.send_signal(signal.SIGSTOP)
        scene.bitcoin("invalidateblock", old[1])
        new = scene.bitcoin("generate", 5)
        process.send_signal(signal.SIGCONT)
        moneyin.until(lambda: moneyin.top() == head(scene))
    gone = [event["hash"] for event in moneyin.events if event["kind"] == "disconnected"]
    assert gone == [old[2], old[1]]
    assert [name for _, name in moneyin.blocks][-6:] == [old[0], *new]


def test_a_reorg_while_the_agent_was_down_is_published_from_what_moneyin_knows(
    scene: Scene, name: str
) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
        old = scene.bitcoin("generate", 3)
        moneyin.until(lambda: moneyin.top() == head(scene))
    scene.bitcoin("invalidateblock", old[1])
    new = scene.bitcoin("generate", 4)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
    gone = [event["hash"] for event in moneyin.events if event["kind"] == "disconnected"]
    assert gone == [old[2], old[1]]
    assert [name for _, name in moneyin.blocks][-5:] == [old[0], *new]


def test_a_reorg_below_all_that_was_ever_published_loses_no_block_of_the_new_chain(
    scene: Scene, name: str
) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
        height, _ = head(scene)
        scene.bitcoin("invalidateblock", scene.bitcoin("getblockhash", height - 1))
        new = scene.bitcoin("generate", 3)
        moneyin.until(lambda: moneyin.top() == head(scene))
    assert [name for _, name in moneyin.blocks][-3:] == new
    assert moneyin.story()[1] == ("disconnected", height)


def test_nothing_is_lost_while_kafka_is_dead(scene: Scene, name: str) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
        first = head(scene)[0]
        scene.stack.kill("kafka")
        scene.bitcoin("generate", 3)
        scene.start_kafka()
        scene.bitcoin("generate", 1)
        moneyin.until(lambda: moneyin.top() == head(scene))
    assert [height for height, _ in moneyin.blocks] == list(range(first, first + 5))
    assert moneyin.story() == [("connected", height) for height in range(first, first + 5)]


def test_blocks_mined_while_the_node_was_away_follow_when_it_is_back(
    scene: Scene, name: str
) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
        scene.stack.restart("btcd")
        scene.bitcoin("generate", 2)
        moneyin.until(lambda: moneyin.top() == head(scene))
    assert any(
        line["message"] == "connecting to the node again" and "detail" in line
        for line in scene.log_lines(name)
    )


def test_an_agent_publishes_nothing_before_it_is_answered_and_asks_again(
    scene: Scene, name: str
) -> None:
    moneyin = Moneyin(scene, "bitcoin", name, answering=False)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: len(moneyin.requests) == 2)
        assert moneyin.events == []
        moneyin.resume("not-what-was-asked")
        moneyin.quiet(1.0)
        assert moneyin.events == []
        moneyin.resume(moneyin.requests[0]["request_id"])
        moneyin.until(lambda: moneyin.top() == head(scene))


def test_a_resume_that_nobody_asked_for_starts_over_from_there(scene: Scene, name: str) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name):
        scene.bitcoin("generate", 1)
        moneyin.until(lambda: moneyin.top() == head(scene))
        scene.bitcoin("generate", 3)
        moneyin.until(lambda: moneyin.top() == head(scene))
        lost = moneyin.blocks[-2:]
        del moneyin.blocks[-2:]
        moneyin.resume(None)
        moneyin.until(lambda: moneyin.top() == head(scene))
    assert moneyin.blocks[-2:] == lost


def test_commands_for_others_and_broken_ones_change_nothing(scene: Scene, name: str) -> None:
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name) as process:
        moneyin.until(lambda: moneyin.top() == head(scene))
        story = moneyin.story()
        foreign = {"v": 1, "kind": "resume", "chain": "bitcoin", "request_id": None, "recent": []}
        moneyin.command({**foreign, "node": "bitcoin-other"})
        moneyin.command({**foreign, "node": name, "recent": [{"height": -1, "hash": "x"}]})
        moneyin.quiet(1.5)
        assert moneyin.story() == story
        assert process.poll() is None


def test_a_node_of_another_network_is_refused(scene: Scene, name: str) -> None:
    scene.put_networks(bitcoin="mainnet")
    try:
        assert scene.start_agent("bitcoin", name).wait(timeout=60) == 1
    finally:
        scene.put_networks()
    assert scene.log_lines(name)[-1]["code"] == "node_misconfigured"


def test_the_health_check_says_how_old_the_newest_block_is(scene: Scene, name: str) -> None:
    argv, env = scene.command("bitcoin", name, "--check")
    done = subprocess.run(argv, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert b'"healthy": true' in done.stdout


class CorePublisher:
    """Speaks Bitcoin Core's ZMQ form (doc/zmq.md): topic, body, and a counter for each topic."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        port = self._socket.bind_to_random_port("tcp://127.0.0.1")
        self.url = f"tcp://127.0.0.1:{port}"
        self._numbers: dict[bytes, int] = {}

    def block(self, scene: Scene, block_hash: str, *, lose: bool = False) -> None:
        """What Core sends for a connected block."""
        raw = bytes.fromhex(scene.bitcoin("getblock", block_hash, 0))
        name = bytes.fromhex(block_hash)
        for topic, body in ((b"hashblock", name), (b"rawblock", raw), (b"sequence", name + b"C")):
            number = self._numbers.get(topic, 0)
            self._numbers[topic] = number + 1
            if not lose:
                self._socket.send_multipart([topic, body, number.to_bytes(4, "little")])

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
def core() -> Iterator[CorePublisher]:
    publisher = CorePublisher()
    yield publisher
    publisher.close()


def test_pushes_of_bitcoin_core_over_zmq_are_followed_and_lost_ones_are_filled_in(
    scene: Scene, core: CorePublisher
) -> None:
    scene.bitcoin("generate", 2)
    name = scene.node("bitcoin", rpc_url=scene.stack.btcd.rpc_url, zmq_url=core.url)
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name):
        first = head(scene)
        moneyin.until(lambda: moneyin.top() == first)
        moneyin.until(lambda: "ZMQ connected" in scene.log(name).read_text())
        core.block(scene, *scene.bitcoin("generate", 1))
        moneyin.until(lambda: moneyin.top() == head(scene))
        for lose in (True, True, False):
            core.block(scene, *scene.bitcoin("generate", 1), lose=lose)
        moneyin.until(lambda: moneyin.top() == head(scene))
    assert [height for height, _ in moneyin.blocks] == list(range(first[0], first[0] + 5))
    lost = [line for line in scene.log_lines(name) if line["message"] == "pushes were lost"]
    assert {line["lost"] for line in lost} == {2}


def test_without_a_push_nobody_asks_the_node_for_blocks(scene: Scene, core: CorePublisher) -> None:
    name = scene.node("bitcoin", rpc_url=scene.stack.btcd.rpc_url, zmq_url=core.url)
    moneyin = Moneyin(scene, "bitcoin", name)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
        moneyin.until(lambda: "ZMQ connected" in scene.log(name).read_text())
        before = moneyin.top()
        moneyin.quiet(0.5)
        hashes = scene.bitcoin("generate", 1)
        moneyin.quiet(2.0)
        assert moneyin.top() == before
        core.block(scene, hashes[0])
        moneyin.until(lambda: moneyin.top() == head(scene))
