"""3 of 5 on Solana: the real SPL Token program decides who may pay out of the multisig."""

from itertools import combinations

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from infra.local.solana_node import Solana
from orion.chains.solana.account import holding
from orion.chains.solana.custody import decode, describe
from orion.chains.solana.derived import with_seed
from orion.chains.solana.fee_payer import FeeKind, decode_fee
from orion.chains.solana.instructions import (
    allocate_with_seed,
    close_account,
    create_associated,
    initialize_account,
    transfer_sol,
    transfer_tokens,
)
from orion.chains.solana.message import Instruction, Meta
from orion.chains.solana.programs import TOKEN as TOKEN_PROGRAM
from orion.chains.solana.programs import TOKEN_ACCOUNT_RENT, WRAPPED_SOL
from orion.chains.spend import Payment, SpendRefused
from tests.engine.custody_solana_scene import (
    BUDGET,
    FEE_LAMPORTS,
    NATIVE,
    START_SOL,
    START_UNITS,
    TOKEN,
    Key,
    Vault,
    new_vault,
)
from tests.engine.solana_scene import SOL, Scene, play

pytestmark = pytest.mark.engine
THREES = tuple(combinations(range(1, 6), 3))
TWOS = tuple(combinations(range(1, 6), 2))


def _to(address: Pubkey, units: int, asset: str = TOKEN) -> Payment:
    return Payment(asset, str(address), units)


def _token_calls(
    vault: Vault, recipient: Pubkey, units: int, authority: tuple[Meta, ...]
) -> list[Instruction]:
    """The two instructions of a token payment with any authority."""
    mint = bytes(vault.mint)
    dest = holding(bytes(recipient), mint)
    move = transfer_tokens(bytes(vault.tokens), mint, dest, authority, units, 6)
    return [create_associated(vault.payer.public, bytes(recipient), mint), move]


def _plain_calls(
    vault: Vault, recipient: Pubkey, lamports: int, authority: tuple[Meta, ...]
) -> list[Instruction]:
    """The instructions of a plain payment with any authority."""
    payer, owner, seed = vault.payer.public, bytes(vault.owner), "orion/unwrap"
    temporary = with_seed(payer, seed, TOKEN_PROGRAM)
    return [
        transfer_sol(payer, temporary, TOKEN_ACCOUNT_RENT),
        allocate_with_seed(temporary, payer, seed, 165, TOKEN_PROGRAM),
        initialize_account(temporary, WRAPPED_SOL, owner),
        transfer_tokens(bytes(vault.wrapped), WRAPPED_SOL, temporary, authority, lamports, 9),
        close_account(temporary, payer, authority),
        transfer_sol(payer, bytes(recipient), lamports),
    ]


def test_all_ten_threes_pay_tokens_and_all_ten_twos_do_not(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, recipient = await new_vault(scene), Keypair().pubkey()
        paid = 0
        for units, three in enumerate(THREES, start=1):
            await vault.pay(_to(recipient, units), custodians=three)
            paid += units
            assert await vault.units_of(recipient) == paid
        for units, two in enumerate(TWOS, start=1):
            calls = _token_calls(vault, recipient, units, vault.authority(*two))
            signers = [vault.custodians[number - 1] for number in two]
            raw = await vault.raw([*BUDGET.instructions(), *calls], *signers)
            await vault.refused(raw, "missing required signature")
            with pytest.raises(SpendRefused, match="wrong_signers"):
                decode(raw[1 + 64 * 3 :], vault.account, vault.contracts)
        assert await vault.units_of(recipient) == paid == 55
        assert await vault.units(vault.tokens) == START_UNITS - 55

    play(solana_node, story)


def test_all_ten_threes_pay_exact_lamports_and_all_ten_twos_do_not(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, recipient = await new_vault(scene), Keypair().pubkey()
        paid = 0
        for extra, three in enumerate(THREES, start=1):
            before = await scene.balance(vault.payer.pubkey)
            await vault.pay(_to(recipient, SOL // 10 + extra, NATIVE), custodians=three)
            paid += SOL // 10 + extra
            assert await scene.balance(recipient) == paid
            assert before - await scene.balance(vault.payer.pubkey) == FEE_LAMPORTS
        assert await vault.units(vault.wrapped) == START_SOL * SOL - paid
        # The same instructions that the program refuses to two are those that three paid with.
        first = vault.custodians[:3]
        calls = _plain_calls(vault, recipient, SOL, vault.authority(1, 2, 3))
        await vault.post(await vault.raw([*BUDGET.instructions(), *calls], *first))
        paid += SOL
        for two in TWOS:
            signers = [vault.custodians[number - 1] for number in two]
            authority = vault.authority(*two)
            calls = _plain_calls(vault, recipient, SOL, authority)
            raw = await vault.raw([*BUDGET.instructions(), *calls], *signers)
            await vault.refused(raw, "missing required signature")
            close = close_account(bytes(vault.wrapped), vault.payer.public, authority)
            await vault.refused(await vault.raw([close], *signers), "missing required signature")
        assert await scene.balance(recipient) == paid

    play(solana_node, story)


def test_many_are_paid_in_one_message(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault = await new_vault(scene)
        merchants = [Keypair().pubkey() for _ in range(3)]
        tokens, first, second = merchants
        raw = await vault.pay(_to(tokens, 5), _to(first, SOL, NATIVE), _to(second, 2 * SOL, NATIVE))
        assert len(raw) <= 1232
        assert await vault.units_of(tokens) == 5
        assert [await scene.balance(key) for key in (first, second)] == [SOL, 2 * SOL]
        assert await vault.units(vault.wrapped) == (START_SOL - 3) * SOL

    play(solana_node, story)


def test_the_fee_payer_loses_what_its_decoder_foretold(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, executor = await new_vault(scene), Key()
        await scene.client.request_airdrop(executor.pubkey, SOL)
        merchant = Keypair().pubkey()
        for payment, rents in ((_to(merchant, 5), 1), (_to(merchant, SOL, NATIVE), 0)):
            unsigned = await vault.order([payment], payer=executor)
            accounts = [vault.account, vault.sister(2, vault.custodians).account]
            fee = decode_fee(unsigned, executor.address, accounts, vault.contracts)
            assert (fee.kind, fee.address) == (FeeKind.PAYMENT, vault.account.address)
            before = await scene.balance(executor.pubkey)
            await vault.post(vault.signed(unsigned, payer=executor))
            lost = before - await scene.balance(executor.pubkey)
            assert lost == fee.fee_max_units == FEE_LAMPORTS + rents * TOKEN_ACCOUNT_RENT

    play(solana_node, story)


def test_custody_refills_the_float_of_its_fee_payer(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault = await new_vault(scene)
        before = await scene.balance(vault.payer.pubkey)
        await vault.pay(_to(vault.payer.pubkey, SOL, NATIVE))
        assert await scene.balance(vault.payer.pubkey) == before + SOL - FEE_LAMPORTS
        assert await vault.units(vault.wrapped) == (START_SOL - 1) * SOL

    play(solana_node, story)


def test_a_failing_part_leaves_everything_as_it_was_but_the_fee(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault = await new_vault(scene)
        merchant, poor = Keypair().pubkey(), Keypair().pubkey()
        too_much = _to(merchant, START_SOL * SOL + 1, NATIVE)
        # A new account below 890,880 lamports: the last of all transfers fails.
        too_little = [_to(merchant, 7), _to(merchant, SOL, NATIVE), _to(poor, 1, NATIVE)]
        for payments in ([_to(merchant, 5), too_much], too_little):
            raw = vault.signed(await vault.order(payments))
            tokens, wrapped, lamports = await vault.state()
            await vault.post(raw, preflight=False)
            scene.advance()
            assert await vault.state() == (tokens, wrapped, lamports - FEE_LAMPORTS)
            assert await scene.balance(merchant) == 0
            assert await vault.units_of(merchant) == 0

    play(solana_node, story)


def test_lamports_sent_to_the_temporary_account_stop_no_payment(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, merchant = await new_vault(scene), Keypair().pubkey()
        temporary = Pubkey.create_with_seed(vault.payer.pubkey, "orion/unwrap", vault.program)
        await scene.client.request_airdrop(temporary, SOL)
        before = await scene.balance(vault.payer.pubkey)
        await vault.pay(_to(merchant, 2 * SOL, NATIVE))
        assert await scene.balance(merchant) == 2 * SOL
        # The stranger's lamports are the fee payer's now, not the account's.
        assert await scene.balance(vault.payer.pubkey) == before + SOL - FEE_LAMPORTS
        assert await vault.units(vault.wrapped) == (START_SOL - 2) * SOL

    play(solana_node, story)


def test_what_was_changed_after_signing_is_refused(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, merchant, thief = await new_vault(scene), Keypair().pubkey(), Keypair().pubkey()
        signed = []
        for asset, units in ((TOKEN, 1_000), (NATIVE, SOL)):
            raw = vault.signed(await vault.order([_to(merchant, units, asset)]))
            wanted = units.to_bytes(8, "little")
            changed = [raw.replace(wanted, (units + 1).to_bytes(8, "little"))]
            changed.append(raw.replace(bytes(merchant), bytes(thief)))
            if asset == TOKEN:
                mint = bytes(vault.mint)
                own, other = (holding(bytes(key), mint) for key in (merchant, thief))
                changed.append(raw.replace(own, other))
            for altered in changed:
                assert altered != raw
                await vault.refused(altered, "(?i)signature")
            signed.append(raw)
        for raw in signed:
            await vault.post(raw)

    play(solana_node, story)


def test_a_signer_counts_once(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, merchant = await new_vault(scene), Keypair().pubkey()
        calls = _token_calls(vault, merchant, 5, vault.authority(1, 2, 1))
        raw = await vault.raw([*BUDGET.instructions(), *calls], *vault.custodians[:2])
        await vault.refused(raw, "missing required signature")
        with pytest.raises(SpendRefused, match="wrong_signers"):
            decode(raw[1 + 64 * 3 :], vault.account, vault.contracts)

    play(solana_node, story)


def test_the_fee_payer_alone_can_do_nothing(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault = await new_vault(scene)
        payer, merchant = vault.payer, Keypair().pubkey()
        for authority in (
            (Meta(payer.public, signs=True),),
            (Meta(bytes(vault.owner)),),
            (Meta(bytes(vault.owner)), Meta(payer.public, signs=True)),
        ):
            calls = _token_calls(vault, merchant, 5, authority)
            await vault.refused(await vault.raw(calls), "owner does not match|missing required")
            close = close_account(bytes(vault.wrapped), payer.public, authority)
            await vault.refused(await vault.raw([close]), "owner does not match|missing required")
            raw = await vault.raw([*BUDGET.instructions(), *calls])
            with pytest.raises(SpendRefused):
                decode_fee(raw[65:], payer.address, [vault.account], vault.contracts)
        robbed = transfer_sol(payer.public, bytes(merchant), SOL)
        raw = await vault.raw([*BUDGET.instructions(), robbed])
        with pytest.raises(SpendRefused, match="unknown_account"):
            decode_fee(raw[65:], payer.address, [vault.account], vault.contracts)

    play(solana_node, story)


def test_a_signed_transaction_has_one_effect_however_often_it_is_sent(
    solana_node: Solana,
) -> None:
    async def story(scene: Scene) -> None:
        vault, merchant = await new_vault(scene), Keypair().pubkey()
        raw = await vault.pay(_to(merchant, 5), _to(merchant, SOL, NATIVE))
        await vault.refused(raw, "AlreadyProcessed|already been processed")
        scene.advance(3)
        await vault.refused(raw, "AlreadyProcessed|already been processed")
        await vault.post(raw, preflight=False)
        assert await vault.units_of(merchant) == 5
        assert await scene.balance(merchant) == SOL

    play(solana_node, story)


def test_an_expired_version_is_dead_and_the_next_one_pays(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, merchant = await new_vault(scene), Keypair().pubkey()
        payment = _to(merchant, SOL, NATIVE)
        first = await vault.order([payment])
        signed = vault.signed(first)
        scene.advance(152)
        await vault.refused(signed, "(?i)blockhash")
        second = await vault.order([payment], (3, 4, 5))
        versions = [decode(row, vault.account, vault.contracts) for row in (first, second)]
        assert versions[0].version != versions[1].version
        assert versions[0].payments == versions[1].payments == (payment,)
        await vault.post(vault.signed(second, (3, 4, 5)))
        await vault.refused(signed, "(?i)blockhash")
        assert await scene.balance(merchant) == SOL

    play(solana_node, story)


def test_a_rotation_moves_everything_to_the_new_multisig(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault = await new_vault(scene)
        fresh = vault.sister(2, (*vault.custodians[:4], Key()))
        await fresh.post(await fresh.creation())
        everything = (
            Payment(TOKEN, fresh.account.address, START_UNITS),
            Payment(NATIVE, fresh.account.address, START_SOL * SOL),
        )
        unsigned = await vault.order(everything)
        assert decode(unsigned, vault.account, vault.contracts).payments == everything
        with pytest.raises(SpendRefused, match="wrong_signers"):
            decode(unsigned, fresh.sister(3, [Key() for _ in range(5)]).account, vault.contracts)
        await vault.post(vault.signed(unsigned))
        assert [await vault.units(at) for at in (vault.tokens, vault.wrapped)] == [0, 0]
        assert await fresh.units(fresh.tokens) == START_UNITS
        assert await fresh.units(fresh.wrapped) == START_SOL * SOL
        merchant = Keypair().pubkey()
        await fresh.pay(_to(merchant, SOL, NATIVE), custodians=(1, 4, 5))
        assert await scene.balance(merchant) == SOL
        # The old keys move nothing of the new account.
        old = [vault.custodians[4], *vault.custodians[:2]]
        authority = (Meta(bytes(fresh.owner)), *(Meta(key.public, signs=True) for key in old))
        mint, dest = bytes(vault.mint), bytes(vault.tokens)
        steal = transfer_tokens(bytes(fresh.tokens), mint, dest, authority, 1, 6)
        await fresh.refused(await fresh.raw([steal], *old), "missing required signature")

    play(solana_node, story)


def test_solders_reads_the_transaction_that_was_assembled(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        vault, merchant = await new_vault(scene), Keypair().pubkey()
        unsigned = await vault.order([_to(merchant, 5)], (2, 3, 5))
        read = VersionedTransaction.from_bytes(vault.signed(unsigned, (2, 3, 5)))
        assert all(read.verify_with_results())
        named = {str(key) for key in read.message.account_keys[1:4]}
        assert named == {vault.custodians[number - 1].address for number in (2, 3, 5)}
        shown = describe(vault.account)
        assert shown["address"] == vault.account.address
        assert shown["holdings"] == {NATIVE: str(vault.wrapped)}

    play(solana_node, story)
