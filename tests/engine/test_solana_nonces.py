"""Durable nonces on the Solana stand-in (crate solana-nonce), through solana-py."""

import pytest
from solana.rpc.commitment import Processed
from solana.rpc.core import RPCException
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM
from solders.system_program import (
    AdvanceNonceAccountParams,
    InitializeNonceAccountParams,
    advance_nonce_account,
    initialize_nonce_account,
)
from solders.transaction_status import (
    TransactionErrorFieldless,
    TransactionErrorInstructionError,
)

from infra.local.solana_node import Solana
from tests.engine.solana_scene import SOL, Scene, error_of, pay, play

pytestmark = pytest.mark.engine
_NONCE_BYTES = 80


async def _nonce_account(scene: Scene, payer: Keypair, *, slots: int = 1) -> tuple[Pubkey, Hash]:
    """A nonce account of the payer, `slots` before now, and what it stores."""
    nonce = Keypair()
    start = initialize_nonce_account(
        InitializeNonceAccountParams(nonce_pubkey=nonce.pubkey(), authority=payer.pubkey())
    )
    await scene.send([await scene.create(payer, nonce, _NONCE_BYTES, SYSTEM), start], payer, nonce)
    if slots:
        scene.advance(slots)
    return nonce.pubkey(), await _stored_nonce(scene, nonce.pubkey())


async def _stored_nonce(scene: Scene, key: Pubkey) -> Hash:
    account = (await scene.client.get_account_info(key, Processed)).value
    assert account is not None
    return Hash(account.data[40:72])


def test_a_durable_nonce_outlives_blockhashes_and_works_once(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        key, stored = await _nonce_account(scene, payer)
        advance = advance_nonce_account(
            AdvanceNonceAccountParams(nonce_pubkey=key, authorized_pubkey=payer.pubkey())
        )
        calls = [advance, pay(payer, to, SOL)]
        old = await scene.signed(calls, [payer], blockhash=stored)
        rival = await scene.signed([advance, pay(payer, to, 2 * SOL)], [payer], blockhash=stored)
        scene.advance(400)
        await scene.post(old)
        assert await scene.balance(to) == SOL
        scene.advance()
        assert await _stored_nonce(scene, key) != stored
        with pytest.raises(RPCException) as caught:
            await scene.post(rival)
        assert error_of(caught) == TransactionErrorFieldless.BlockhashNotFound

    play(solana_node, story)


def test_a_durable_nonce_advances_once_a_slot(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, to = await scene.funded(), Keypair().pubkey()
        key, stored = await _nonce_account(scene, payer, slots=0)
        advance = advance_nonce_account(
            AdvanceNonceAccountParams(nonce_pubkey=key, authorized_pubkey=payer.pubkey())
        )
        young = await scene.signed([advance, pay(payer, to, SOL)], [payer], blockhash=stored)
        with pytest.raises(RPCException) as caught:
            await scene.post(young)
        assert error_of(caught) == TransactionErrorFieldless.BlockhashNotFound
        scene.advance()
        await scene.post(young)
        assert await scene.balance(to) == SOL

    play(solana_node, story)


def test_a_durable_nonce_serves_its_authority_only(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        owner, thief = await scene.funded(), await scene.funded()
        key, stored = await _nonce_account(scene, owner)
        advance = advance_nonce_account(
            AdvanceNonceAccountParams(nonce_pubkey=key, authorized_pubkey=thief.pubkey())
        )
        calls = [advance, pay(thief, Keypair().pubkey(), SOL)]
        stolen = await scene.signed(calls, [thief], blockhash=stored)
        lost = await scene.post(stolen, preflight=False)
        assert (await scene.client.get_signature_statuses([lost])).value == [None]
        assert await _stored_nonce(scene, key) == stored
        assert await scene.balance(thief.pubkey()) == 100 * SOL

    play(solana_node, story)


def test_a_failed_transaction_uses_its_durable_nonce_up(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        key, stored = await _nonce_account(scene, payer)
        advance = advance_nonce_account(
            AdvanceNonceAccountParams(nonce_pubkey=key, authorized_pubkey=payer.pubkey())
        )
        calls = [advance, pay(payer, Keypair().pubkey(), 10_000 * SOL)]
        failing = await scene.signed(calls, [payer], blockhash=stored)
        signature = await scene.post(failing, preflight=False)
        status = (await scene.client.get_signature_statuses([signature])).value[0]
        assert status is not None
        assert isinstance(status.err, TransactionErrorInstructionError)
        assert await _stored_nonce(scene, key) != stored

    play(solana_node, story)
