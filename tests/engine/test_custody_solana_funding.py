"""How a Solana multisig comes to be and to money: creation, sweeps, what the fee payer signs."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from solana.rpc.commitment import Processed
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from spl.token.instructions import create_associated_token_account, mint_to
from spl.token.models import MintToParams

from infra.local.solana_node import Solana
from orion.chains.solana.creation import (
    MultisigMismatch,
    check_holding,
    check_multisig,
    decode_creation,
)
from orion.chains.solana.custody import with_fee_payer
from orion.chains.solana.fee_payer import FeeKind, decode_fee
from orion.chains.solana.instructions import allocate_with_seed, initialize_multisig
from orion.chains.solana.programs import MULTISIG_RENT, TOKEN_ACCOUNT_RENT, WRAPPED_SOL
from orion.chains.solana.programs import TOKEN as TOKEN_PROGRAM
from orion.chains.solana.sweep import Sweep, assemble_sweep, decode_sweep, slots, write_sweep
from orion.chains.spend import Payment, SpendRefused
from tests.engine.custody_solana_scene import BUDGET, NATIVE, TOKEN, Key, Vault, new_vault
from tests.engine.solana_scene import SOL, Scene, play

pytestmark = pytest.mark.engine


async def _stored(scene: Scene, address: Pubkey) -> tuple[bytes, bytes]:
    """Owning program and data."""
    found = (await scene.client.get_account_info(address, Processed)).value
    assert found is not None
    return bytes(found.owner), bytes(found.data)


def test_the_chain_holds_the_multisig_that_was_described(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault = await new_vault(scene, created=False)
        raw = await vault.creation()
        fee = decode_fee(raw[65:], vault.payer.address, [vault.account], vault.contracts)
        assert fee.kind is FeeKind.CREATION
        before = await scene.balance(vault.payer.pubkey)
        await vault.post(raw)
        lost = before - await scene.balance(vault.payer.pubkey)
        rents = MULTISIG_RENT + 2 * TOKEN_ACCOUNT_RENT
        assert lost == fee.fee_max_units == BUDGET.fee_lamports(1) + rents
        check_multisig(vault.account, *await _stored(scene, vault.owner))
        assert await scene.rent(355) == MULTISIG_RENT
        assert await scene.rent(165) == TOKEN_ACCOUNT_RENT
        await vault.fill()
        for mint, at in ((bytes(vault.mint), vault.tokens), (WRAPPED_SOL, vault.wrapped)):
            units = check_holding(vault.account, mint, *await _stored(scene, at))
            assert units == await vault.units(at) > 0
        other = vault.sister(2, [*vault.custodians[:4], Key()]).account
        with pytest.raises(MultisigMismatch, match="keys"):
            check_multisig(other, *await _stored(scene, vault.owner))

    play(solana_node, story)


def test_lamports_sent_ahead_do_not_stop_a_creation(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault = await new_vault(scene, created=False)
        await scene.client.request_airdrop(vault.owner, SOL)
        await vault.post(await vault.creation())
        check_multisig(vault.account, *await _stored(scene, vault.owner))

    play(solana_node, story)


def test_an_account_is_made_once(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault = await new_vault(scene)
        scene.advance()
        await vault.refused(await vault.creation(), "already in use")
        mint = await scene.token(vault.minter)
        contracts = {**vault.contracts, "USDC.solana": str(mint)}
        creation = decode_creation((await vault.creation())[65:], vault.account, vault.contracts)
        assert set(creation.mints) == {bytes(vault.mint), WRAPPED_SOL}
        with pytest.raises(SpendRefused, match="unknown_mint"):
            decode_creation((await vault.creation())[65:], vault.account, contracts)

    play(solana_node, story)


def test_nobody_else_makes_the_account(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, thief = await new_vault(scene, created=False), Key()
        await scene.client.request_airdrop(thief.pubkey, SOL)
        foreign = replace(vault, payer=thief)
        seed = "orion/7/hot/1"
        owner = bytes(vault.owner)
        take = allocate_with_seed(owner, thief.public, seed, 355, TOKEN_PROGRAM)
        await foreign.refused(await foreign.raw([take]), "(?i)address .* does not match")
        make = initialize_multisig(owner, 1, [thief.public])
        await foreign.refused(await foreign.raw([make]), "(?i)incorrect program|invalid account")

    play(solana_node, story)


async def _wallets(scene: Scene, vault: Vault, count: int, units: int) -> list[Key]:
    """Derived wallets with tokens and without lamports."""
    wallets = [Key() for _ in range(count)]
    for wallet in wallets:
        minter = vault.minter.pubkey()
        make = create_associated_token_account(minter, wallet.pubkey, vault.mint)
        deposit = MintToParams(
            program_id=vault.program,
            mint=vault.mint,
            dest=make.accounts[1].pubkey,
            mint_authority=minter,
            amount=units,
        )
        await scene.send([make, mint_to(deposit)], vault.minter)
    return wallets


def _sign(vault: Vault, unsigned: bytes, wallets: Sequence[Key], payer: Key | None = None) -> bytes:
    """Sweep signers sign in slot order; then the fee payer, if it is no wallet."""
    keys = {wallet.public: wallet for wallet in wallets}
    owners = slots(list(keys), (payer or wallets[0]).public)
    decode_sweep(unsigned, owners, "localnet", vault.contracts)
    given = tuple(keys[owner].sign(unsigned) for owner in owners)
    half = assemble_sweep(unsigned, owners, "localnet", given)
    return half if payer is None else with_fee_payer(half, payer.sign(unsigned))


async def _sweep(
    vault: Vault, mint: bytes, payer: Key, wallets: Sequence[Key], units: int
) -> bytes:
    owners = slots([wallet.public for wallet in wallets], payer.public)
    sweep = Sweep(
        fee_payer=payer.public,
        blockhash=await vault.blockhash(),
        budget=BUDGET,
        mint=mint,
        recipient=bytes(vault.owner),
        owners=owners,
        units=(units,) * len(owners),
    )
    return write_sweep(sweep, "localnet", vault.contracts)


def test_tokens_are_swept_from_wallets_without_lamports(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault = await new_vault(scene)
        wallets = await _wallets(scene, vault, 3, 70)
        held = await vault.units(vault.tokens)
        unsigned = await _sweep(vault, bytes(vault.mint), vault.payer, wallets, 70)
        fee = decode_fee(unsigned, vault.payer.address, [vault.account], vault.contracts)
        assert fee.kind is FeeKind.SWEEP
        assert fee.fee_max_units == BUDGET.fee_lamports(4) + TOKEN_ACCOUNT_RENT
        owners = slots([wallet.public for wallet in wallets], vault.payer.public)
        spend = decode_sweep(unsigned, owners, "localnet", vault.contracts)
        assert spend.payments == (Payment(TOKEN, vault.account.address, 70),) * 3
        assert spend.fee_max_units == 0
        await vault.post(_sign(vault, unsigned, wallets, vault.payer))
        assert await vault.units(vault.tokens) == held + 210
        assert [await vault.units_of(wallet.pubkey) for wallet in wallets] == [0, 0, 0]

    play(solana_node, story)


def test_sol_is_swept_to_the_last_lamport_and_counted_as_wrapped(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, wallets = await new_vault(scene), [Key(), Key()]
        for wallet in wallets:
            await scene.client.request_airdrop(wallet.pubkey, SOL)
        held = await vault.units(vault.wrapped)
        unsigned = await _sweep(vault, WRAPPED_SOL, vault.payer, wallets, SOL)
        owners = slots([wallet.public for wallet in wallets], vault.payer.public)
        spend = decode_sweep(unsigned, owners, "localnet", vault.contracts)
        assert spend.payments == (Payment(NATIVE, vault.account.address, SOL),) * 2
        await vault.post(_sign(vault, unsigned, wallets, vault.payer))
        assert await vault.units(vault.wrapped) == held + 2 * SOL
        assert [await scene.balance(wallet.pubkey) for wallet in wallets] == [0, 0]

    play(solana_node, story)


def test_a_wallet_pays_its_own_sweep_and_loses_no_more_than_foretold(
    solana_node: Solana,
) -> None:
    async def story(scene: Scene) -> None:
        vault, wallet = await new_vault(scene, created=False), Key()
        await scene.client.request_airdrop(wallet.pubkey, 2 * SOL)
        unsigned = await _sweep(vault, WRAPPED_SOL, wallet, [wallet], SOL)
        spend = decode_sweep(unsigned, (wallet.public,), "localnet", vault.contracts)
        with pytest.raises(SpendRefused, match="unknown_instruction"):
            decode_fee(unsigned, wallet.address, [vault.account], vault.contracts)
        # The multisig is not there yet; its associated account is made for its address.
        await vault.post(_sign(vault, unsigned, [wallet]))
        assert await scene.balance(wallet.pubkey) == SOL - spend.fee_max_units
        assert await vault.units(vault.wrapped) == SOL
        await vault.post(await vault.creation())
        merchant = Keypair().pubkey()
        await vault.pay(Payment(NATIVE, str(merchant), SOL))
        assert await scene.balance(merchant) == SOL

    play(solana_node, story)
