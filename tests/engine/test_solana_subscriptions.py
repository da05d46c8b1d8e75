"""Subscriptions of the Solana stand-in through solana-py's WebSocket client."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import websockets
from solana.rpc.commitment import Commitment, Confirmed, Finalized, Processed
from solana.rpc.models import MemcmpOpts
from solana.rpc.websocket_api import SolanaWsClientProtocol, SubscriptionError, connect
from solders.keypair import Keypair
from solders.rpc.config import RpcTransactionLogsFilterMentions
from solders.rpc.requests import SlotUnsubscribe
from solders.rpc.responses import (
    AccountNotification,
    BlockNotification,
    LogsNotification,
    ProgramNotification,
    RootNotification,
    SignatureNotification,
    SlotNotification,
    SubscriptionResult,
)
from spl.token.constants import TOKEN_PROGRAM_ID

from infra.local.json_rpc import number, record
from infra.local.solana_node import Solana
from tests.engine.solana_scene import SOL, Scene, pay, play

pytestmark = pytest.mark.engine
_WAIT_S = 20.0


class Watcher:
    """One connection; its messages one by one."""

    def __init__(self, socket: SolanaWsClientProtocol) -> None:
        self.socket = socket
        self._waiting: list[object] = []

    async def next(self) -> object:
        if not self._waiting:
            self._waiting += await asyncio.wait_for(self.socket.recv(), _WAIT_S)
        return self._waiting.pop(0)

    async def number(self) -> int:
        """The id of the subscription just asked for."""
        answer = await self.next()
        assert isinstance(answer, SubscriptionResult)
        return answer.result

    async def nothing_else(self) -> None:
        """The next message answers a question asked now: none was waiting before it."""
        await self.socket.slot_subscribe()
        answer = await self.next()
        assert isinstance(answer, SubscriptionResult)
        await self.socket.slot_unsubscribe(answer.result)
        await self.next()


def _call(number: int, method: str, *params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}


async def _read_all(socket: websockets.ClientConnection) -> None:
    while True:
        await socket.recv()


@asynccontextmanager
async def _watching(scene: Scene) -> AsyncIterator[Watcher]:
    async with connect(scene.node.ws_url) as socket:
        yield Watcher(socket)


def test_every_slot_is_told_with_its_parent_and_root(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        async with _watching(scene) as watcher:
            await watcher.socket.slot_subscribe()
            wish = await watcher.number()
            opened = scene.advance(2)
            for slot in (opened - 1, opened):
                told = await watcher.next()
                assert isinstance(told, SlotNotification)
                assert told.subscription == wish
                assert (told.result.parent, told.result.slot) == (slot - 1, slot)
                assert told.result.root < slot - 1
            await watcher.socket.slot_unsubscribe(wish)
            await watcher.next()
            scene.advance()
            await watcher.nothing_else()

    play(solana_node, story)


@pytest.mark.parametrize("level, slots", [(Processed, 0), (Confirmed, 1), (Finalized, 31)])
def test_a_signature_is_told_once_when_its_level_is_reached(
    solana_node: Solana, level: Commitment, slots: int
) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        transaction = await scene.signed([pay(payer, Keypair().pubkey(), SOL)], [payer])
        async with _watching(scene) as watcher:
            await watcher.socket.signature_subscribe(transaction.signatures[0], level)
            await watcher.number()
            if slots > 1:
                await scene.post(transaction)
                scene.advance(slots - 1)
                await watcher.nothing_else()
                scene.advance(1)
            else:
                await watcher.nothing_else()
                await scene.post(transaction)
                if slots:
                    await watcher.nothing_else()
                    scene.advance(slots)
            told = await watcher.next()
            assert isinstance(told, SignatureNotification)
            assert told.result.value.err is None
            scene.advance(40)
            await watcher.nothing_else()

    play(solana_node, story)


def test_a_signature_already_there_is_told_at_once(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        signature = await scene.post(
            await scene.signed([pay(payer, Keypair().pubkey(), 900 * SOL)], [payer]),
            preflight=False,
        )
        scene.advance()
        # Read without solana-py: its parser refuses every notification with an InstructionError.
        async with websockets.connect(scene.node.ws_url) as socket:
            level = {"commitment": "confirmed"}
            wish = _call(1, "signatureSubscribe", str(signature), level)
            await socket.send(json.dumps(wish))
            answers = [record(json.loads(await socket.recv())) for _ in range(2)]
        params = record(answers[1]["params"])
        assert params["subscription"] == answers[0]["result"]
        value = record(record(params["result"])["value"])
        assert value == {"err": {"InstructionError": [0, {"Custom": 1}]}}

    play(solana_node, story)


def test_a_dropped_transaction_is_told_after_it_came_back(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        transaction = await scene.signed([pay(payer, Keypair().pubkey(), SOL)], [payer])
        async with _watching(scene) as watcher:
            await watcher.socket.signature_subscribe(transaction.signatures[0], Finalized)
            await watcher.number()
            await scene.post(transaction)
            scene.advance(2)
            scene.node.rpc.call("local_fork", 2)
            scene.advance(40)
            await watcher.nothing_else()
            await scene.post(transaction)
            scene.advance(31)
            assert isinstance(await watcher.next(), SignatureNotification)

    play(solana_node, story)


def test_a_signature_is_told_once_even_when_a_fork_repeats_it(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        transaction = await scene.signed([pay(payer, Keypair().pubkey(), SOL)], [payer])
        async with _watching(scene) as watcher:
            await watcher.socket.signature_subscribe(transaction.signatures[0], Confirmed)
            await watcher.number()
            await scene.post(transaction)
            scene.advance()
            assert isinstance(await watcher.next(), SignatureNotification)
            scene.node.rpc.call("local_fork", 1)
            await scene.post(transaction)
            scene.advance(2)
            await watcher.nothing_else()

    play(solana_node, story)


def test_an_account_is_told_with_the_value_of_the_level(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        async with _watching(scene) as now, _watching(scene) as final:
            await now.socket.account_subscribe(to, Processed, "base64")
            await final.socket.account_subscribe(to, Finalized, "jsonParsed")
            await now.number()
            await final.number()
            for lamports in (SOL, 2 * SOL):
                await scene.send([pay(payer, to, lamports)], payer)
                scene.advance()
            seen: list[int] = []
            for watcher in (now, now, final, final):
                if watcher is final and len(seen) == 2:
                    await final.nothing_else()
                    scene.advance(31)
                told = await watcher.next()
                assert isinstance(told, AccountNotification)
                seen.append(told.result.value.lamports)
            assert seen == [SOL, 3 * SOL, SOL, 3 * SOL]

    play(solana_node, story)


def test_logs_are_told_for_the_mentioned_account_only(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        async with _watching(scene) as one, _watching(scene) as all_:
            await one.socket.logs_subscribe(RpcTransactionLogsFilterMentions(to), Confirmed)
            await all_.socket.logs_subscribe(commitment=Confirmed)
            await one.number()
            await all_.number()
            other = await scene.send([pay(payer, Keypair().pubkey(), SOL)], payer)
            wanted = await scene.send([pay(payer, to, SOL)], payer)
            scene.advance()
            told = await one.next()
            assert isinstance(told, LogsNotification)
            assert told.result.value.signature == wanted
            assert told.result.value.logs[-1].endswith("success")
            await one.nothing_else()
            for signature in (other, wanted):
                told = await all_.next()
                assert isinstance(told, LogsNotification)
                assert told.result.value.signature == signature

    play(solana_node, story)


def test_a_program_s_accounts_are_told_by_filter(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, owner = await scene.funded(), Keypair().pubkey()
        mint = await scene.token(payer)
        async with _watching(scene) as watcher:
            await watcher.socket.program_subscribe(
                TOKEN_PROGRAM_ID,
                Processed,
                "base64",
                filters=[165, MemcmpOpts(offset=32, bytes=str(owner))],
            )
            await watcher.number()
            await scene.holding(payer, mint, payer.pubkey(), 7)
            account = await scene.holding(payer, mint, owner, 8)
            told = await watcher.next()
            assert isinstance(told, ProgramNotification)
            assert told.result.value.pubkey == account
            await watcher.nothing_else()

    play(solana_node, story)


def test_blocks_and_roots_are_told(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        async with _watching(scene) as watcher:
            await watcher.socket.block_subscribe(
                commitment=Confirmed, max_supported_transaction_version=0
            )
            await watcher.socket.root_subscribe()
            await watcher.number()
            await watcher.number()
            await scene.send([pay(payer, Keypair().pubkey(), SOL)], payer)
            root = (await scene.client.get_slot(Finalized)).value
            opened = scene.advance()
            told = await watcher.next()
            assert isinstance(told, BlockNotification)
            assert told.result.value.slot == opened - 1
            assert told.result.value.block is not None
            rooted = await watcher.next()
            assert isinstance(rooted, RootNotification)
            assert rooted.result > root

    play(solana_node, story)


def test_a_false_subscription_is_refused_and_the_connection_stays(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        async with _watching(scene) as watcher:
            await watcher.socket.send_request(SlotUnsubscribe(10**9, 10**6))
            with pytest.raises(SubscriptionError, match="Invalid subscription id"):
                await watcher.next()
            await watcher.nothing_else()

    play(solana_node, story)


@pytest.mark.parametrize(
    "text, code",
    [
        ("{", -32_700),
        ("[]", -32_600),
        (json.dumps([1] * 101), -32_600),
        ("7", -32_600),
        (json.dumps({"id": 1, "method": "getSlot"}), -32_601),
        (json.dumps({"id": 1, "method": "signatureSubscribe", "params": ["x"]}), -32_602),
        (json.dumps({"id": 1, "method": "logsSubscribe", "params": [{"mentions": []}]}), -32_602),
        (
            json.dumps(
                {
                    "id": 1,
                    "method": "blockSubscribe",
                    "params": ["all", {"commitment": "processed"}],
                }
            ),
            -32_602,
        ),
    ],
)
def test_a_message_that_is_no_subscription_gets_an_error(
    solana_node: Solana, text: str, code: int
) -> None:
    async def story(scene: Scene) -> None:
        async with websockets.connect(scene.node.ws_url) as socket:
            await socket.send(text)
            answer = record(json.loads(await socket.recv()))
            assert record(answer["error"])["code"] == code
            await socket.send(json.dumps(_call(2, "rootSubscribe")))
            assert "result" in record(json.loads(await socket.recv()))

    play(solana_node, story)


def test_a_connection_has_at_most_a_hundred_subscriptions(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        async with websockets.connect(scene.node.ws_url) as socket:
            for call in range(101):
                await socket.send(json.dumps(_call(call, "slotSubscribe")))
                answer = record(json.loads(await socket.recv()))
                assert ("result" in answer) == (call < 100)
        scene.advance()

    play(solana_node, story)


def test_a_reader_that_is_too_slow_is_disconnected_and_others_are_served(
    solana_node: Solana,
) -> None:
    async def story(scene: Scene) -> None:
        async with websockets.connect(scene.node.ws_url, max_queue=1, ping_interval=None) as slow:
            for call in range(100):
                await slow.send(json.dumps(_call(call, "slotSubscribe")))
                await slow.recv()
            scene.advance(5_000)
            assert number(scene.node.rpc.call("getSlot", {"commitment": "processed"})) > 5_000
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(_read_all(slow), _WAIT_S)

    play(solana_node, story)
