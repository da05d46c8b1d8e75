"""The agent beside anvil, over IPC and over WebSocket; the test plays moneyin."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import Stack
from tests.engine.agent_scene import Moneyin, Scene

pytestmark = pytest.mark.engine

BOB = "0x" + "b0" * 20
VAULT = "0x" + "de" * 20
TRANSFER_TOPIC = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
# transfer(address,uint256), the selector of ERC-20.
SELECTOR = "a9059cbb"
# Emits Transfer(caller, first argument, second argument) for any call and returns nothing:
# the second argument to memory; the first, the caller and the topic to the stack; LOG3; STOP.
TOKEN_CODE = "60243560005260043533" + "7f" + TRANSFER_TOPIC + "60206000a300"
# Sends what it is given on to VAULT: CALL(gas, VAULT, callvalue, 0, 0, 0, 0), STOP.
FORWARDER_CODE = "6000600060006000" + "34" + "73" + VAULT[2:] + "5af100"
# The same, then REVERT: nothing has happened.
REVERTING_CODE = FORWARDER_CODE[:-2] + "60006000fd"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Engines of this module's own: its tests change the chain under everybody's feet."""
    folder = tmp_path_factory.mktemp("agents")
    stack = Stack(folder / "stack")
    try:
        stack.up(("kafka", "ministack", "anvil"))
        yield Scene(stack, Path(folder))
    finally:
        stack.down()


@pytest.fixture(params=["ipc", "ws"])
def name(scene: Scene, request: pytest.FixtureRequest) -> str:
    """A node of its own, with a chain of at least five blocks, by either way to reach it."""
    scene.ethereum("anvil_mine", "0x5")
    anvil = scene.stack.anvil
    if request.param == "ipc":
        return scene.node("ethereum", ipc_path=str(anvil.ipc_path), ws_url=anvil.ws_url)
    return scene.node("ethereum", ws_url=anvil.ws_url)


def head(scene: Scene) -> tuple[int, str]:
    found = scene.ethereum("eth_getBlockByNumber", "latest", False)
    return int(found["number"], 16), found["hash"]


def deploy(scene: Scene, code: str) -> str:
    """A contract with this code; its address."""
    size = len(code) // 2
    # CODECOPY of what stands behind these twelve bytes, and return it.
    creation = f"0x60{size:02x}600c60003960{size:02x}6000f3{code}"
    receipt = scene.send(data=creation)
    assert receipt["status"] == "0x1"
    return str(receipt["contractAddress"]).lower()


def pay_three_times(scene: Scene) -> None:
    """Three blocks that differ from empty ones: anvil may mine an empty block again as it was."""
    for units in (1, 2, 3):
        scene.send(to=BOB, value=hex(units))


def paid(moneyin: Moneyin, receipt: Any) -> list[tuple[str, str | None, str, str]]:
    return [
        (row["position"], row["contract"], row["to"], row["units"])
        for row in moneyin.transfers()
        if row["txid"] == receipt["transactionHash"]
    ]


def test_native_token_and_internal_payments_are_published(scene: Scene, name: str) -> None:
    token, forwarder = deploy(scene, TOKEN_CODE), deploy(scene, FORWARDER_CODE)
    reverting = deploy(scene, REVERTING_CODE)
    moneyin = Moneyin(scene, "ethereum", name)
    with scene.agent("ethereum", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
        native = scene.send(to=BOB, value=hex(12_345))
        argument = BOB[2:].rjust(64, "0") + f"{25_000_000:064x}"
        tokens = scene.send(to=token, data=f"0x{SELECTOR}{argument}")
        inside = scene.send(to=forwarder, value=hex(777))
        failed = scene.send(to=reverting, value=hex(777))
        moneyin.until(lambda: moneyin.top() == head(scene))
    assert failed["status"] == "0x0"
    assert paid(moneyin, native) == [("call:", None, BOB, "12345")]
    assert paid(moneyin, tokens) == [("log:0", token, BOB, "25000000")]
    assert paid(moneyin, inside) == [
        ("call:", None, forwarder, "777"),
        ("call:0", None, VAULT, "777"),
    ]
    assert paid(moneyin, failed) == []
    assert all(row["from"].startswith("0x") for row in moneyin.transfers())


def test_a_burst_of_blocks_is_filled_in_order(scene: Scene, name: str) -> None:
    moneyin = Moneyin(scene, "ethereum", name)
    with scene.agent("ethereum", name):
        first = head(scene)
        moneyin.until(lambda: moneyin.top() == first)
        scene.ethereum("anvil_mine", "0x1e")
        moneyin.until(lambda: moneyin.top() == head(scene))
    assert [height for height, _ in moneyin.blocks] == list(range(first[0], first[0] + 31))


def test_a_two_block_reorg_disconnects_newest_first_and_connects_in_order(
    scene: Scene, name: str
) -> None:
    moneyin = Moneyin(scene, "ethereum", name)
    with scene.agent("ethereum", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
        scene.send(to=BOB, value=hex(1))
        scene.send(to=BOB, value=hex(2))
        moneyin.until(lambda: moneyin.top() == head(scene))
        old = moneyin.blocks[-2:]
        scene.ethereum("anvil_reorg", 2, [])
        moneyin.until(lambda: moneyin.top() == head(scene) and moneyin.top() != old[-1])
    gone = [(e["height"], e["hash"]) for e in moneyin.events if e["kind"] == "disconnected"]
    assert gone == [old[1], old[0]]
    assert [event["kind"] for event in moneyin.events[-2:]] == ["connected", "connected"]


def test_a_longer_chain_that_came_between_two_looks_is_told_by_its_parent_hash(
    scene: Scene, name: str
) -> None:
    moneyin = Moneyin(scene, "ethereum", name)
    with scene.agent("ethereum", name) as process:
        moneyin.until(lambda: moneyin.top() == head(scene))
        pay_three_times(scene)
        moneyin.until(lambda: moneyin.top() == head(scene))
        old = moneyin.blocks[-2:]
        process.send_signal(signal.SIGSTOP)
        scene.ethereum("anvil_reorg", 2, [])
        scene.ethereum("anvil_mine", "0x4")
        process.send_signal(signal.SIGCONT)
        moneyin.until(lambda: moneyin.top() == head(scene))
    assert moneyin.story()[-8:-6] == [("disconnected", height) for height, _ in old[::-1]]
    assert [kind for kind, _ in moneyin.story()[-6:]] == ["connected"] * 6


def test_a_reorg_while_the_agent_was_down_is_published_from_what_moneyin_knows(
    scene: Scene, name: str
) -> None:
    moneyin = Moneyin(scene, "ethereum", name)
    process = scene.start_agent("ethereum", name)
    moneyin.until(lambda: moneyin.top() == head(scene))
    pay_three_times(scene)
    moneyin.until(lambda: moneyin.top() == head(scene))
    process.kill()
    process.wait()
    old = moneyin.blocks[-2:]
    scene.ethereum("anvil_reorg", 2, [])
    scene.ethereum("anvil_mine", "0x1")
    with scene.agent("ethereum", name):
        moneyin.until(lambda: moneyin.top() == head(scene))
    gone = [(e["height"], e["hash"]) for e in moneyin.events if e["kind"] == "disconnected"]
    assert gone == [old[1], old[0]]


def test_whatever_the_chain_and_the_agent_go_through_moneyin_ends_with_the_nodes_chain(
    scene: Scene,
) -> None:
    dice = random.Random(812)  # noqa: S311 - the same walk every time
    scene.ethereum("anvil_mine", "0x10")
    name = scene.node("ethereum", ws_url=scene.stack.anvil.ws_url)
    moneyin = Moneyin(scene, "ethereum", name)
    process = scene.start_agent("ethereum", name)
    try:
        moneyin.until(lambda: moneyin.top() == head(scene))
        for _ in range(40):
            step = dice.choice(["mine", "mine", "reorg", "reorg", "settle", "freeze", "kill"])
            if step == "mine":
                scene.ethereum("anvil_mine", hex(dice.randint(1, 4)))
            elif step == "reorg":
                scene.ethereum("anvil_reorg", dice.randint(1, 6), [])
            elif step == "settle":
                process.send_signal(signal.SIGCONT)
                moneyin.until(lambda: moneyin.top() == head(scene))
            elif step == "freeze":
                process.send_signal(signal.SIGSTOP)
            else:
                process.kill()
                process.wait()
                process = scene.start_agent("ethereum", name)
        process.send_signal(signal.SIGCONT)
        moneyin.until(lambda: moneyin.top() == head(scene))
    finally:
        process.kill()
        process.wait()
    for height, block_hash in moneyin.blocks:
        found = scene.ethereum("eth_getBlockByNumber", hex(height), False)
        assert found["hash"] == block_hash


def test_an_ipc_socket_that_others_may_open_is_refused(scene: Scene) -> None:
    path = scene.stack.anvil.ipc_path
    name = scene.node("ethereum", ipc_path=str(path))
    path.chmod(0o660)
    try:
        process = scene.start_agent("ethereum", name)
        assert process.wait(timeout=60) == 1
    finally:
        path.chmod(0o600)
    assert scene.log_lines(name)[-1]["code"] == "endpoint_refused"


def test_an_endpoint_on_another_host_is_refused(scene: Scene) -> None:
    name = scene.node("ethereum", ws_url="ws://192.0.2.1:8546")
    assert scene.start_agent("ethereum", name).wait(timeout=60) == 1
    assert scene.log_lines(name)[-1]["code"] == "endpoint_refused"


def test_a_node_of_another_network_is_refused(scene: Scene) -> None:
    name = scene.node("ethereum", ws_url=scene.stack.anvil.ws_url)
    scene.put_networks(ethereum="1")
    try:
        assert scene.start_agent("ethereum", name).wait(timeout=60) == 1
    finally:
        scene.put_networks()
    assert scene.log_lines(name)[-1]["code"] == "node_misconfigured"
