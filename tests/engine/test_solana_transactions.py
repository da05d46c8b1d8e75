"""Transactions on the Solana stand-in, judged by solana-py: it signs, sends and reads them."""

import hashlib

import pytest
from solana.rpc.commitment import Confirmed, Finalized, Processed
from solana.rpc.core import RPCException
from solana.rpc.models import TxOpts
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.errors import SerdeJSONError
from solders.keypair import Keypair
from solders.message import Message, to_bytes_versioned
from solders.signature import Signature
from solders.system_program import (
    CreateLookupTableParams,
    ExtendLookupTableParams,
    create_lookup_table,
    extend_lookup_table,
)
from solders.transaction import VersionedTransaction
from solders.transaction_status import (
    TransactionErrorFieldless,
    TransactionErrorInstructionError,
)

from infra.local.json_rpc import number, sequence
from infra.local.solana_node import Solana
from tests.engine.solana_scene import SOL, Scene, error_of, pay, play

pytestmark = pytest.mark.engine


def test_a_transfer_moves_lamports_and_the_payer_bears_the_fee(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        transaction = await scene.signed([pay(payer, to, 3 * SOL)], [payer])
        fee = await scene.fee_lamports(transaction)
        await scene.post(transaction)
        assert fee == 5_000
        assert await scene.balance(to) == 3 * SOL
        assert await scene.balance(payer.pubkey()) == 97 * SOL - fee

    play(solana_node, story)


def test_a_priority_fee_is_charged_as_it_was_foretold(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        for extra in (
            [set_compute_unit_price(1_000_000), set_compute_unit_limit(1_001)],
            [set_compute_unit_price(333_333)],
        ):
            transaction = await scene.signed([*extra, pay(payer, to, SOL)], [payer])
            foretold = await scene.fee_lamports(transaction)
            before = await scene.balance(payer.pubkey())
            await scene.post(transaction)
            assert foretold is not None
            assert foretold > 5_000
            assert before - await scene.balance(payer.pubkey()) == SOL + foretold

    play(solana_node, story)


def test_a_transaction_is_executed_once_even_when_sent_again(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        transaction = await scene.signed([pay(payer, to, SOL)], [payer])
        first = await scene.post(transaction)
        scene.advance()
        with pytest.raises(RPCException) as caught:
            await scene.post(transaction)
        again = await scene.post(transaction, preflight=False)
        assert error_of(caught) == TransactionErrorFieldless.AlreadyProcessed
        assert again == first
        assert await scene.balance(to) == SOL

    play(solana_node, story)


def test_a_message_is_executed_once_under_any_signature(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        first = await scene.signed([pay(payer, to, SOL)], [payer])
        await scene.post(first)
        again = VersionedTransaction.populate(first.message, [_other_signature(payer, first)])
        assert again.verify_with_results() == [True]
        assert again.signatures != first.signatures
        with pytest.raises(RPCException) as caught:
            await scene.post(again)
        assert error_of(caught) == TransactionErrorFieldless.AlreadyProcessed

    play(solana_node, story)


def _other_signature(key: Keypair, transaction: VersionedTransaction) -> Signature:
    """A second valid signature of the message: RFC 8032, 5.1.6, with another secret scalar r."""
    digest = hashlib.sha512(key.secret()).digest()
    clamped = bytearray(digest[:32])
    clamped[0] &= 248
    clamped[31] = (clamped[31] & 127) | 64
    secret = int.from_bytes(clamped, "little")
    # The point r*B is the public key of another key, whose own clamped scalar is r.
    other = Keypair()
    r_bytes = bytearray(hashlib.sha512(other.secret()).digest()[:32])
    r_bytes[0] &= 248
    r_bytes[31] = (r_bytes[31] & 127) | 64
    order = 2**252 + 27742317777372353535851937790883648493
    point = bytes(other.pubkey())
    message = to_bytes_versioned(transaction.message)
    challenge = hashlib.sha512(point + bytes(key.pubkey()) + message).digest()
    scalar = int.from_bytes(r_bytes, "little") + int.from_bytes(challenge, "little") * secret
    return Signature(point + (scalar % order).to_bytes(32, "little"))


def test_a_blockhash_expires_after_its_last_valid_block_height(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        latest = (await scene.client.get_latest_blockhash(Processed)).value
        held = await scene.signed([pay(payer, to, SOL)], [payer], blockhash=latest.blockhash)
        late = await scene.signed([pay(payer, to, 2 * SOL)], [payer], blockhash=latest.blockhash)
        height = (await scene.client.get_block_height(Processed)).value
        scene.advance(latest.last_valid_block_height - height)
        assert scene.is_valid(latest.blockhash)
        await scene.post(held)
        scene.advance()
        assert not scene.is_valid(latest.blockhash)
        with pytest.raises(RPCException) as caught:
            await scene.post(late)
        lost = await scene.post(late, preflight=False)
        assert error_of(caught) == TransactionErrorFieldless.BlockhashNotFound
        assert (await scene.client.get_signature_statuses([lost])).value == [None]
        assert await scene.fee_lamports(late) is None
        assert await scene.balance(to) == SOL

    play(solana_node, story)


def test_a_failed_transaction_pays_its_fee_and_shows_its_error(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(1), Keypair().pubkey()
        transaction = await scene.signed([pay(payer, to, 5 * SOL)], [payer])
        with pytest.raises(RPCException) as caught:
            await scene.post(transaction)
        assert isinstance(error_of(caught), TransactionErrorInstructionError)
        signature = await scene.post(transaction, preflight=False)
        scene.advance()
        found = (await scene.client.get_transaction(signature, "json", Confirmed, 0)).value
        assert found is not None
        meta = found.transaction.meta
        assert meta is not None
        assert isinstance(meta.err, TransactionErrorInstructionError)
        assert meta.pre_balances[0] - meta.post_balances[0] == meta.fee == 5_000
        status = (await scene.client.get_signature_statuses([signature])).value[0]
        assert status is not None
        assert status.err == meta.err

    play(solana_node, story)


def test_a_false_signature_is_refused(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        true = await scene.signed([pay(payer, Keypair().pubkey(), SOL)], [payer])
        false = VersionedTransaction.populate(true.message, [Keypair().sign_message(b"x")])
        with pytest.raises(RPCException, match="SignatureVerificationFailure"):
            await scene.post(false)
        lost = await scene.post(false, preflight=False)
        assert (await scene.client.get_signature_statuses([lost])).value == [None]

    play(solana_node, story)


def test_a_changed_amount_makes_the_signature_false(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        recent = await scene.blockhash()
        true = await scene.signed([pay(payer, to, SOL)], [payer], blockhash=recent)
        other = Message.new_with_blockhash([pay(payer, to, 2 * SOL)], payer.pubkey(), recent)
        with pytest.raises(RPCException, match="SignatureVerificationFailure"):
            await scene.post(VersionedTransaction.populate(other, true.signatures))

    play(solana_node, story)


def test_bytes_that_are_no_transaction_are_invalid_params(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises((RPCException, SerdeJSONError), match="deserialize"):
            await scene.client.send_raw_transaction(b"\1\2\3", TxOpts())

    play(solana_node, story)


def test_preflight_at_finalized_does_not_know_a_young_blockhash(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        scene.advance()
        young = await scene.signed([pay(payer, Keypair().pubkey(), SOL)], [payer])
        options = TxOpts(preflight_commitment=Finalized)
        with pytest.raises(RPCException) as caught:
            await scene.client.send_raw_transaction(bytes(young), options)
        assert error_of(caught) == TransactionErrorFieldless.BlockhashNotFound
        await scene.post(young)

    play(solana_node, story)


def test_a_simulation_shows_the_outcome_and_changes_nothing(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        transaction = await scene.signed([pay(payer, to, SOL)], [payer])
        tried = (await scene.client.simulate_transaction(transaction, commitment=Processed)).value
        assert tried.err is None
        assert tried.units_consumed == 150
        assert tried.logs
        assert await scene.balance(to) == 0
        bad = await scene.signed([pay(payer, to, 500 * SOL)], [payer])
        assert (await scene.client.simulate_transaction(bad)).value.err is not None

    play(solana_node, story)


def test_a_simulation_at_finalized_sees_only_what_is_final(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, other = await scene.funded(10), await scene.funded(1)
        final = (await scene.client.get_latest_blockhash(Finalized)).value.blockhash
        await scene.send([pay(payer, other.pubkey(), 5 * SOL)], payer)
        spend = [pay(other, Keypair().pubkey(), 4 * SOL)]
        transaction = await scene.signed(spend, [other], blockhash=final)
        now = await scene.client.simulate_transaction(transaction, commitment=Processed)
        then = await scene.client.simulate_transaction(transaction, commitment=Finalized)
        assert now.value.err is None
        assert isinstance(then.value.err, TransactionErrorInstructionError)
        assert await scene.balance(other.pubkey()) == 6 * SOL

    play(solana_node, story)


def test_addresses_of_a_lookup_table_are_used_and_shown(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        scene.advance()
        recent = (await scene.client.get_slot(Confirmed)).value
        make, table = create_lookup_table(
            CreateLookupTableParams(
                authority_address=payer.pubkey(), payer_address=payer.pubkey(), recent_slot=recent
            )
        )
        extend = extend_lookup_table(
            ExtendLookupTableParams(
                lookup_table_address=table,
                authority_address=payer.pubkey(),
                payer_address=payer.pubkey(),
                new_addresses=[to, Keypair().pubkey()],
            )
        )
        await scene.send([make, extend], payer)
        scene.advance()
        listed = AddressLookupTableAccount(key=table, addresses=[to])
        transaction = await scene.signed([pay(payer, to, SOL)], [payer], tables=[listed])
        assert to not in transaction.message.account_keys
        signature = await scene.post(transaction)
        scene.advance()
        assert await scene.balance(to) == SOL
        found = (await scene.client.get_transaction(signature, "json", Confirmed, 0)).value
        assert found is not None
        meta = found.transaction.meta
        assert meta is not None
        assert meta.loaded_addresses is not None
        assert meta.loaded_addresses.writable == [to]
        assert meta.post_balances[-1] == SOL
        with pytest.raises(RPCException, match="UnsupportedTransactionVersion"):
            await scene.client.get_transaction(signature, "json", Confirmed)

    play(solana_node, story)


def test_an_airdrop_gives_what_was_asked_even_twice_in_a_slot(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        key = Keypair().pubkey()
        first = (await scene.client.request_airdrop(key, SOL)).value
        second = (await scene.client.request_airdrop(key, SOL)).value
        assert first != second
        assert await scene.balance(key) == 2 * SOL

    play(solana_node, story)


def test_signatures_of_an_address_come_newest_first_in_pages(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        sent: list[Signature] = []
        for lamports in range(SOL, SOL + 5):
            sent.append(await scene.send([pay(payer, to, lamports)], payer))
            scene.advance()
        newest = sent[::-1]

        async def page(
            before: Signature | None, until: Signature | None, limit: int
        ) -> list[Signature]:
            rows = await scene.client.get_signatures_for_address(
                to, before, until, limit, Confirmed
            )
            return [row.signature for row in rows.value]

        assert await page(None, None, 1_000) == newest
        assert await page(None, None, 2) == newest[:2]
        assert await page(newest[1], None, 2) == newest[2:4]
        assert await page(None, newest[3], 1_000) == newest[:3]
        final = await scene.client.get_signatures_for_address(to, commitment=Finalized)
        assert final.value == []

    play(solana_node, story)


def test_the_leader_earns_half_of_the_fees(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        await scene.send([pay(payer, Keypair().pubkey(), SOL)], payer)
        slot = scene.advance() - 1
        scene.advance(31)
        answer = await scene.client.get_block(slot, "json", 0, commitment=Finalized)
        block = answer.value
        assert block is not None
        assert block.rewards is not None
        assert [reward.lamports for reward in block.rewards] == [2_500]
        fees = solana_node.rpc.call("getRecentPrioritizationFees", [str(payer.pubkey())])
        assert len(sequence(fees)) <= 150
        assert number(solana_node.rpc.call("getFirstAvailableBlock")) == 0

    play(solana_node, story)
