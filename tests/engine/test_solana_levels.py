"""Commitment levels, forks, skipped slots and restarts of the Solana stand-in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from solana.rpc.commitment import Commitment, Confirmed, Finalized, Processed
from solana.rpc.core import RPCException
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.transaction_status import TransactionConfirmationStatus

from infra.local.json_rpc import RpcRefused, number, record, sequence
from infra.local.solana_node import Solana
from infra.local.stack import Stack
from tests.engine.solana_scene import SOL, Scene, pay, play

pytestmark = pytest.mark.engine
_LEVELS = (Processed, Confirmed, Finalized)


async def _balances(scene: Scene, key: Pubkey) -> list[int]:
    return [(await scene.client.get_balance(key, level)).value for level in _LEVELS]


async def _slot(scene: Scene, level: Commitment) -> int:
    return (await scene.client.get_slot(level)).value


def test_a_level_sees_a_transfer_when_its_slot_has_reached_it(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        signature = await scene.send([pay(payer, to, SOL)], payer)
        assert await _balances(scene, to) == [SOL, 0, 0]
        scene.advance(1)
        assert await _balances(scene, to) == [SOL, SOL, 0]
        scene.advance(29)
        assert await _balances(scene, to) == [SOL, SOL, 0]
        status = (await scene.client.get_signature_statuses([signature])).value[0]
        assert status is not None
        assert status.confirmations == 30
        assert status.confirmation_status == TransactionConfirmationStatus.Confirmed
        scene.advance(1)
        assert await _balances(scene, to) == [SOL, SOL, SOL]
        status = (await scene.client.get_signature_statuses([signature])).value[0]
        assert status is not None
        assert status.confirmations is None
        assert status.confirmation_status == TransactionConfirmationStatus.Finalized

    play(solana_node, story)


def test_an_account_has_at_each_level_the_value_of_its_own_slot(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        for _ in range(3):
            await scene.send([pay(payer, to, SOL)], payer)
            scene.advance(1)
        await scene.send([pay(payer, to, 7 * SOL)], payer)
        assert await _balances(scene, to) == [10 * SOL, 3 * SOL, 0]
        scene.advance(28)
        assert await _balances(scene, to) == [10 * SOL, 10 * SOL, SOL]
        scene.advance(1)
        assert await _balances(scene, to) == [10 * SOL, 10 * SOL, 2 * SOL]

    play(solana_node, story)


def test_an_old_status_needs_the_history(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        signature = await scene.send([pay(payer, Keypair().pubkey(), SOL)], payer)
        scene.advance(331)
        client = scene.client
        assert (await client.get_signature_statuses([signature])).value[0] is not None
        scene.advance(2)
        assert (await client.get_signature_statuses([signature])).value == [None]
        found = await client.get_signature_statuses([signature], search_transaction_history=True)
        assert found.value[0] is not None

    play(solana_node, story)


def test_a_fork_takes_a_confirmed_transaction_away_and_it_may_be_sent_again(
    solana_node: Solana,
) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        transaction = await scene.signed([pay(payer, to, SOL)], [payer])
        signature = await scene.post(transaction)
        slot = scene.advance(3) - 3
        before = (await scene.client.get_balance(payer.pubkey(), Confirmed)).value
        assert (await scene.client.get_transaction(signature, "json", Confirmed, 0)).value
        fork = record(scene.node.rpc.call("local_fork", 3))
        assert fork["dropped"] == [str(signature)]
        assert number(fork["slot"]) == slot + 4
        assert await _balances(scene, to) == [0, 0, 0]
        assert (await scene.client.get_balance(payer.pubkey(), Processed)).value == 100 * SOL
        assert before < 100 * SOL
        assert (await scene.client.get_signature_statuses([signature])).value == [None]
        assert not (await scene.client.get_transaction(signature, "json", Confirmed, 0)).value
        rows = await scene.client.get_signatures_for_address(to, commitment=Confirmed)
        assert rows.value == []
        await scene.post(transaction)
        scene.advance(32)
        assert await _balances(scene, to) == [SOL, SOL, SOL]
        found = (await scene.client.get_transaction(signature, "json", Finalized, 0)).value
        assert found is not None
        assert found.slot == slot + 4

    play(solana_node, story)


def test_a_blockhash_of_a_dropped_block_is_not_accepted(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        scene.advance()
        gone = await scene.blockhash()
        scene.node.rpc.call("local_fork", 1)
        assert not scene.is_valid(gone)
        # Nor when other blocks have its height again.
        scene.advance(3)
        assert not scene.is_valid(gone)
        with pytest.raises(RPCException):
            await scene.post(
                await scene.signed([pay(payer, Keypair().pubkey(), SOL)], [payer], blockhash=gone)
            )

    play(solana_node, story)


def test_a_final_block_cannot_be_dropped(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        scene.advance(40)
        with pytest.raises(RpcRefused) as caught:
            scene.node.rpc.call("local_fork", 31)
        assert caught.value.code == -32_602
        root = await _slot(scene, Finalized)
        scene.node.rpc.call("local_fork", 30)
        scene.advance(5)
        assert await _slot(scene, Finalized) == root
        scene.advance(26)
        assert await _slot(scene, Finalized) > root

    play(solana_node, story)


def test_a_skipped_slot_has_no_block(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        rpc = scene.node.rpc
        first = scene.advance()
        rpc.call("local_skip", 2)
        height = (await scene.client.get_block_height(Processed)).value
        after = scene.advance() - 1
        assert after == first + 2
        assert (await scene.client.get_block_height(Processed)).value == height + 1
        with pytest.raises(RpcRefused) as caught:
            rpc.call("getBlock", first, {"commitment": "confirmed"})
        assert caught.value.code == -32_004
        scene.advance(32)
        listed = sequence(rpc.call("getBlocks", first - 1, after))
        assert listed == [first - 1, after]
        with pytest.raises(RpcRefused) as caught:
            rpc.call("getBlock", first)
        assert caught.value.code == -32_007
        block = record(rpc.call("getBlock", after))
        assert block["parentSlot"] == first - 1

    play(solana_node, story)


def test_a_block_is_not_available_below_its_level(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        rpc = scene.node.rpc
        slot = scene.advance() - 1
        record(rpc.call("getBlock", slot, {"commitment": "confirmed"}))
        for asked, options, code in (
            (slot, {}, -32_004),
            (slot + 1, {"commitment": "confirmed"}, -32_004),
            (slot, {"commitment": "processed"}, -32_602),
            (slot, {"commitment": "certain"}, -32_602),
        ):
            with pytest.raises(RpcRefused) as caught:
                rpc.call("getBlock", asked, options)
            assert caught.value.code == code

    play(solana_node, story)


def test_blocks_form_a_chain(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        rpc = scene.node.rpc
        scene.advance(3)
        scene.node.rpc.call("local_fork", 2)
        last = scene.advance(3) - 1
        options = {"commitment": "confirmed", "transactionDetails": "none"}
        slots = sequence(rpc.call("getBlocks", last - 9, last, {"commitment": "confirmed"}))
        blocks = [record(rpc.call("getBlock", slot, options)) for slot in slots]
        assert "transactions" not in blocks[0]
        for slot, parent, block in zip(slots, blocks, blocks[1:], strict=False):
            assert block["previousBlockhash"] == parent["blockhash"]
            assert block["parentSlot"] == slot
            assert block["blockHeight"] == number(parent["blockHeight"]) + 1

    play(solana_node, story)


async def _view(scene: Scene, *keys: Pubkey) -> object:
    """Everything about the chain that a restart could lose."""
    rpc = scene.node.rpc
    settled = {"commitment": "confirmed", "maxSupportedTransactionVersion": 0}
    slots = sequence(rpc.call("getBlocks", 0, {"commitment": "confirmed"}))
    return json.dumps(
        [
            record(rpc.call("local_status")),
            rpc.call("getGenesisHash"),
            [await _balances(scene, key) for key in keys],
            [rpc.call("getBlock", slot, settled) for slot in slots[-40:]],
            [rpc.call("getSignaturesForAddress", str(key), settled) for key in keys],
        ]
    )


@pytest.fixture
def own_node(stack_folders: Path, request: pytest.FixtureRequest) -> Iterator[Solana]:
    """A node of this test's own, to be killed; its clock stands still."""
    stack = Stack(stack_folders / request.node.name[-12:])
    try:
        stack.start("solana")
        stack.solana.rpc.call("local_clock", 0)
        yield stack.solana
    finally:
        stack.down()


def test_a_killed_node_comes_back_as_it_was(own_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        await scene.send([pay(payer, to, SOL)], payer)
        scene.advance(2)
        dropped = await scene.send([pay(payer, to, 50 * SOL)], payer)
        scene.node.rpc.call("local_fork", 1)
        scene.node.rpc.call("local_skip", 3)
        await scene.send([pay(payer, to, 2 * SOL)], payer)
        scene.advance()
        # In the open slot when the node dies.
        last = await scene.signed([pay(payer, to, 4 * SOL)], [payer])
        await scene.post(last)
        before = await _view(scene, payer.pubkey(), to)
        own_node.kill()
        own_node.start()
        assert await _view(scene, payer.pubkey(), to) == before
        assert (await scene.client.get_signature_statuses([dropped])).value == [None]
        with pytest.raises(RPCException):
            await scene.post(last)
        assert await _balances(scene, to) == [7 * SOL, 3 * SOL, 0]
        own_node.rpc.call("local_fork", 1)
        assert await _balances(scene, to) == [SOL, SOL, 0]

    play(own_node, story)


def test_a_torn_last_record_is_cut_off(own_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        before = await _view(scene, payer.pubkey())
        own_node.kill()
        with (own_node.data / "journal").open("ab") as file:
            file.write(b'0badf00d {"t":"close","ti')
        own_node.start()
        assert await _view(scene, payer.pubkey()) == before
        scene.advance()
        after = await _view(scene, payer.pubkey())
        own_node.stop()
        own_node.start()
        assert await _view(scene, payer.pubkey()) == after

    play(own_node, story)


def test_the_slot_clock_runs_by_itself_until_it_is_stopped(own_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        key = Keypair().pubkey()
        signature = (await scene.client.request_airdrop(key, SOL)).value
        own_node.rpc.call("local_clock", 5)
        # Returns when the cluster, not the test, has made the transaction final.
        await scene.client.confirm_transaction(signature, Finalized, 0.02)
        own_node.rpc.call("local_clock", 0)
        slot = await _slot(scene, Processed)
        assert await _slot(scene, Finalized) <= slot - 31
        assert await _slot(scene, Processed) == slot

    play(own_node, story)
