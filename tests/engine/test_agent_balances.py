"""Balances of real nodes through agents: commands and answers over Kafka."""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.local.faucet import BitcoinFaucet, EthereumFaucet, usdt_address
from infra.local.stack import Stack
from orion.chains.bitcoin.address import address_of
from orion.chains.bitcoin.hashing import display_hash
from orion.chains.bitcoin.network import network_of
from orion.chains.bitcoin.wire import parse_transaction
from orion.records import canonical_json
from tests.engine.agent_scene import WAIT_S, Moneyin, Scene
from tests.engine.command_scene import Asker
from tests.unit.agent_commands import issuers_text, record

pytestmark = pytest.mark.engine

OURS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
BOB = "0x" + "b0" * 20
REVERTING = "60006000fd"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Engines of this module's own: its tests pause one of them."""
    folder = tmp_path_factory.mktemp("balances")
    stack = Stack(folder / "stack")
    try:
        stack.up(("kafka", "ministack", "anvil", "btcd"))
        BitcoinFaucet(stack.btcd).prepare()
        EthereumFaucet(stack.anvil).deploy_usdt()
        found = Scene(stack, Path(folder))
        found.put_issuers(issuers_text())
        yield found
    finally:
        stack.down()


def bitcoin_head(scene: Scene) -> tuple[int, str]:
    found = scene.bitcoin("getblockchaininfo")
    return found["blocks"], found["bestblockhash"]


def ethereum_head(scene: Scene) -> tuple[int, str]:
    found = scene.ethereum("eth_getBlockByNumber", "latest", False)
    return int(found["number"], 16), found["hash"]


def bitcoin_node(scene: Scene, kind: str = "btcd") -> str:
    btcd = scene.stack.btcd
    if kind == "btcd":
        return scene.node("bitcoin", ws_url=btcd.ws_url)
    # Calls as to Bitcoin Core, over HTTP; nothing is ever pushed.
    return scene.node("bitcoin", rpc_url=btcd.rpc_url, zmq_url="tcp://127.0.0.1:9")


def ethereum_node(scene: Scene) -> str:
    return scene.node("ethereum", ipc_path=str(scene.stack.anvil.ipc_path))


def outputs(raw_hex: str) -> Sequence[Mapping[str, Any]]:
    """The items of all outputs of a transaction, and their units."""
    transaction = parse_transaction(bytes.fromhex(raw_hex))
    return [
        {
            "txid": transaction.display_id,
            "index": index,
            "address": address_of(output.script, network_of("regtest")),
            "units": str(output.value_sat),
        }
        for index, output in enumerate(transaction.outputs)
    ]


def item(row: Mapping[str, Any], **changed: Any) -> Mapping[str, Any]:
    return {name: row[name] for name in ("txid", "index", "address")} | changed


@pytest.mark.parametrize("kind", ["btcd", "core"])
def test_bitcoin_tells_unspent_outputs_and_nothing_of_the_mempool(scene: Scene, kind: str) -> None:
    faucet = BitcoinFaucet(scene.stack.btcd)
    mined = faucet.fund(OURS, 41_234)
    faucet.mine(1)
    height = bitcoin_head(scene)[0]
    paid = next(row for row in outputs(mined.raw_hex) if row["address"] == OURS)
    spent = parse_transaction(bytes.fromhex(mined.raw_hex)).inputs[0]
    waiting = faucet.fund(OURS, 5_000)
    coin = parse_transaction(bytes.fromhex(waiting.raw_hex)).inputs[0]
    source = scene.bitcoin("getrawtransaction", display_hash(coin.txid), 0)
    before = next(row for row in outputs(source) if row["index"] == coin.index)
    asked = [
        item(paid),
        # Spent in a block; never made; of this transaction, but paid to somebody else.
        {"txid": display_hash(spent.txid), "index": spent.index, "address": OURS},
        {"txid": "ab" * 32, "index": 0, "address": OURS},
        item(paid, index=7),
        item(paid, address=scene.stack.btcd.faucet_address),
        # Only the mempool spends it; only the mempool makes it.
        item(before),
        item(next(row for row in outputs(waiting.raw_hex) if row["address"] == OURS)),
    ]
    name = bitcoin_node(scene, kind)
    moneyin, asker = Moneyin(scene, "bitcoin", name), Asker(scene, "bitcoin", name)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: moneyin.top() == bitcoin_head(scene))
        found = asker.units(height, asked)
        assert found == ["41234", None, None, None, None, before["units"], None]
        # Made above the height asked for.
        assert asker.units(height - 1, [item(paid)]) == [None]
        faucet.mine(1)
        assert asker.units(height, [item(before), item(paid)]) == [None, "41234"]


def test_ethereum_tells_balances_of_a_block_and_not_of_the_tip(scene: Scene) -> None:
    faucet = EthereumFaucet(scene.stack.anvil)
    token = usdt_address().lower()
    size = len(REVERTING) // 2
    creation = f"0x60{size:02x}600c60003960{size:02x}6000f3{REVERTING}"
    reverting = str(scene.send(data=creation)["contractAddress"]).lower()
    faucet.fund(BOB, 10**18 + 1)
    faucet.mint(BOB, 25_000_000)
    faucet.mine(1)
    height, block_hash = ethereum_head(scene)
    faucet.fund(BOB, 5)
    faucet.mint(BOB, 7)
    faucet.mine(3)
    asked: list[Mapping[str, object]] = [
        {"address": BOB, "contract": None},
        {"address": BOB, "contract": token},
        {"address": "0x" + "cc" * 20, "contract": None},
        {"address": "0x" + "cc" * 20, "contract": token},
        # No contract there; one that reverts.
        {"address": BOB, "contract": "0x" + "cc" * 20},
        {"address": BOB, "contract": reverting},
    ]
    name = ethereum_node(scene)
    moneyin, asker = Moneyin(scene, "ethereum", name), Asker(scene, "ethereum", name)
    with scene.agent("ethereum", name):
        moneyin.until(lambda: moneyin.top() == ethereum_head(scene))
        answer = asker.ask(height, asked)
        assert answer.result == {
            "height": height,
            "hash": block_hash,
            "units": [str(10**18 + 1), "25000000", "0", "0", None, None],
        }
        tip = ethereum_head(scene)[0]
        assert asker.units(tip, asked[:2]) == [str(10**18 + 6), "25000007"]
        above = asker.ask(tip + 1, asked[:1])
        assert (above.outcome.value, above.reason) == ("failed", "height_not_reached")
        odd = asker.ask(height, [{"address": BOB}])
        assert (odd.outcome.value, odd.reason) == ("refused", "arguments_malformed")
        denied = asker.ask(height, asked, name="broadcast")
        assert (denied.outcome.value, denied.reason) == ("refused", "not_permitted")


def test_what_is_not_to_be_believed_is_logged_and_never_answered(scene: Scene) -> None:
    name = ethereum_node(scene)
    moneyin, asker = Moneyin(scene, "ethereum", name), Asker(scene, "ethereum", name)
    items = [{"address": BOB, "contract": None}]
    now = datetime.now(UTC)
    good = asker.command(1, items)
    forged = json.loads(record(asker.command(1, items))) | {"purpose": "payout"}
    sent = {
        "expired": record(asker.command(1, items, expires_at=now - timedelta(seconds=1))),
        "too_far": record(asker.command(1, items, expires_at=now + timedelta(minutes=30))),
        "foreign": record(asker.command(1, items, chain="bitcoin")),
        "issuer_unknown": record(asker.command(1, items, issuer="moneyout")),
        "signature_invalid": canonical_json(forged),
        "malformed": canonical_json({**json.loads(record(good)), "more": 1}),
        "replayed": record(good),
    }
    with scene.agent("ethereum", name):
        moneyin.until(lambda: moneyin.top() == ethereum_head(scene))
        asker.send(record(good))
        for value in sent.values():
            asker.send(value)
        asker.send(b"no command at all")
        # Answers come in order: whatever was to be said of the others has been said before this.
        last = asker.ask(1, items)
        moneyin.until(lambda: moneyin.top() == ethereum_head(scene))
    assert [answer.command_id for answer in asker.answers] == [good.id, last.command_id]
    lines = [row for row in scene.log_lines(name) if row["message"] == "command refused"]
    assert {row["reason"] for row in lines} == set(sent)
    named = {row["reason"]: row["command_id"] for row in lines}
    assert named["replayed"] == good.id.hex()
    assert any(row["message"] == "a command that cannot be read" for row in scene.log_lines(name))


def test_blocks_are_followed_while_commands_are_executed(scene: Scene) -> None:
    name = ethereum_node(scene)
    moneyin, asker = Moneyin(scene, "ethereum", name), Asker(scene, "ethereum", name)
    items = [{"address": f"0x{number:040x}", "contract": None} for number in range(1, 501)]
    with scene.agent("ethereum", name):
        moneyin.until(lambda: moneyin.top() == ethereum_head(scene))
        height = ethereum_head(scene)[0]
        made = [asker.command(height, items) for _ in range(6)]
        for each in made:
            asker.send(record(each))
        scene.ethereum("anvil_mine", "0x5")
        moneyin.until(lambda: moneyin.top() == ethereum_head(scene))
        asker.until(lambda: all(asker.answer_to(each) is not None for each in made))
    assert all(answer.outcome.value == "done" for answer in asker.answers)


def test_a_command_that_was_begun_before_the_agent_was_killed_is_never_executed_again(
    scene: Scene,
) -> None:
    name = bitcoin_node(scene)
    moneyin, asker = Moneyin(scene, "bitcoin", name), Asker(scene, "bitcoin", name)
    made = asker.command(1, [{"txid": "ab" * 32, "index": 0, "address": OURS}])
    group = os.getpgid(scene.stack.processes()["btcd"].pid)
    process = scene.start_agent("bitcoin", name)
    try:
        moneyin.until(lambda: moneyin.top() == bitcoin_head(scene))
        # The node hangs, so the command is remembered and cannot be finished.
        os.killpg(group, signal.SIGSTOP)
        asker.send(record(made))
        end = time.monotonic() + WAIT_S
        memory = scene.state(name) / "commands.json"
        while not (memory.exists() and made.id.hex() in memory.read_text()):
            assert time.monotonic() < end, "the command was never remembered"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
        os.killpg(group, signal.SIGCONT)
    with scene.agent("bitcoin", name):
        moneyin.until(lambda: len(moneyin.requests) == 2)
        moneyin.until(lambda: moneyin.top() == bitcoin_head(scene))
        asker.send(record(made))
        last = asker.ask(1, [{"txid": "ab" * 32, "index": 0, "address": OURS}])
    assert [answer.command_id for answer in asker.answers] == [last.command_id]
    refused = [row for row in scene.log_lines(name) if row["message"] == "command refused"]
    assert [(row["reason"], row["command_id"]) for row in refused] == [("replayed", made.id.hex())]


def test_without_issuers_an_agent_follows_its_chain_and_takes_no_command(scene: Scene) -> None:
    name = ethereum_node(scene)
    moneyin, asker = Moneyin(scene, "ethereum", name), Asker(scene, "ethereum", name)
    scene.put_issuers("none")
    try:
        with scene.agent("ethereum", name):
            moneyin.until(lambda: moneyin.top() == ethereum_head(scene))
            asker.send(record(asker.command(1, [{"address": BOB, "contract": None}])))
            moneyin.until(lambda: "issuer_unknown" in scene.log(name).read_text())
    finally:
        scene.put_issuers(issuers_text())
    assert asker.answers == []


def test_an_agent_whose_state_others_may_open_does_not_start(scene: Scene) -> None:
    name = ethereum_node(scene)
    Asker(scene, "ethereum", name)
    (scene.state(name) / "answer-key.pem").chmod(0o644)
    assert scene.start_agent("ethereum", name).wait(timeout=60) == 1
    assert scene.log_lines(name)[-1]["code"] == "state_refused"
