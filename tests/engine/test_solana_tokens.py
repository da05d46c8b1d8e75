"""SPL programs on the Solana stand-in: the real programs run, solana-py builds and reads."""

from itertools import combinations

import pytest
from solana.rpc.commitment import Confirmed, Processed
from solana.rpc.core import RPCException
from solana.rpc.models import MemcmpOpts, TokenAccountOpts
from solders.account_decoder import ParsedAccount
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.rpc.errors import SendTransactionPreflightFailureMessage
from solders.signature import Signature
from solders.transaction_status import (
    EncodedTransactionWithStatusMeta,
    ParsedInstruction,
    UiParsedMessage,
    UiTransaction,
)
from spl.memo.constants import MEMO_PROGRAM_ID
from spl.memo.instructions import create_memo
from spl.memo.models import MemoParams
from spl.token.constants import TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID, WRAPPED_SOL_MINT
from spl.token.instructions import (
    close_account,
    create_associated_token_account,
    get_associated_token_address,
    initialize_multisig2,
    sync_native,
    transfer_checked,
)
from spl.token.models import (
    CloseAccountParams,
    InitializeMultisig2Params,
    SyncNativeParams,
    TransferCheckedParams,
)

from infra.local.solana_node import Solana
from tests.engine.solana_scene import DECIMALS, SOL, Scene, pay, play

pytestmark = pytest.mark.engine
_MULTISIG_BYTES = 355
_UNITS = 5_000_000
_OWNER_AT = 32
PROGRAMS = pytest.mark.parametrize("program", [TOKEN_PROGRAM_ID, TOKEN_2022_PROGRAM_ID])


async def _units(scene: Scene, account: Pubkey) -> int:
    found = await scene.client.get_token_account_balance(account, Processed)
    assert found.value.decimals == DECIMALS
    return int(found.value.amount)


def _move(
    program: Pubkey,
    mint: Pubkey,
    source: Pubkey,
    dest: Pubkey,
    owner: Pubkey,
    *signers: Pubkey,
    units: int = 1_500_000,
) -> TransferCheckedParams:
    return TransferCheckedParams(
        program_id=program,
        source=source,
        mint=mint,
        dest=dest,
        owner=owner,
        amount=units,
        decimals=DECIMALS,
        signers=list(signers),
    )


async def _shown(scene: Scene, signature: Signature) -> EncodedTransactionWithStatusMeta:
    scene.advance()
    found = (await scene.client.get_transaction(signature, "jsonParsed", Confirmed, 0)).value
    assert found is not None
    return found.transaction


def _calls(shown: EncodedTransactionWithStatusMeta) -> list[tuple[str, object]]:
    assert isinstance(shown.transaction, UiTransaction)
    message = shown.transaction.message
    assert isinstance(message, UiParsedMessage)
    found: list[tuple[str, object]] = []
    for call in message.instructions:
        assert isinstance(call, ParsedInstruction)
        found.append((call.program, call.parsed))
    return found


@PROGRAMS
def test_tokens_are_minted_moved_and_counted(solana_node: Solana, program: Pubkey) -> None:
    async def story(scene: Scene) -> None:
        payer, buyer = await scene.funded(), Keypair().pubkey()
        mint = await scene.token(payer, program)
        source = await scene.holding(payer, mint, payer.pubkey(), _UNITS, program)
        dest = await scene.holding(payer, mint, buyer, 0, program)
        move = _move(program, mint, source, dest, payer.pubkey())
        shown = await _shown(scene, await scene.send([transfer_checked(move)], payer))
        assert (await _units(scene, source), await _units(scene, dest)) == (3_500_000, 1_500_000)
        supply = (await scene.client.get_token_supply(mint)).value
        assert (supply.amount, supply.ui_amount_string) == ("5000000", "5")
        meta = shown.meta
        assert meta is not None
        assert meta.pre_token_balances is not None
        assert meta.post_token_balances is not None
        before = {str(row.owner): row.ui_token_amount.amount for row in meta.pre_token_balances}
        after = {str(row.owner): row.ui_token_amount.amount for row in meta.post_token_balances}
        assert before == {str(payer.pubkey()): "5000000", str(buyer): "0"}
        assert after == {str(payer.pubkey()): "3500000", str(buyer): "1500000"}
        shown_zero = [row.ui_token_amount.ui_amount for row in meta.pre_token_balances]
        assert sorted(shown_zero, key=str) == [5.0, None]
        [(name, parsed)] = _calls(shown)
        assert name == "spl-token"
        assert parsed == {
            "type": "transferChecked",
            "info": {
                "authority": str(payer.pubkey()),
                "destination": str(dest),
                "mint": str(mint),
                "source": str(source),
                "tokenAmount": {
                    "amount": "1500000",
                    "decimals": 6,
                    "uiAmount": 1.5,
                    "uiAmountString": "1.5",
                },
            },
        }

    play(solana_node, story)


@PROGRAMS
def test_token_accounts_are_found_by_owner_and_by_filter(
    solana_node: Solana, program: Pubkey
) -> None:
    async def story(scene: Scene) -> None:
        payer, buyer = await scene.funded(), Keypair().pubkey()
        mint = await scene.token(payer, program)
        account = await scene.holding(payer, mint, buyer, _UNITS, program)
        client = scene.client
        for wanted in (TokenAccountOpts(mint=mint), TokenAccountOpts(program_id=program)):
            raw = (await client.get_token_accounts_by_owner(buyer, wanted, Processed)).value
            assert [row.pubkey for row in raw] == [account]
            assert raw[0].account.data[:32] == bytes(mint)
        parsed = await client.get_token_accounts_by_owner_json_parsed(
            buyer, TokenAccountOpts(mint=mint), Processed
        )
        shown = parsed.value[0].account.data
        assert isinstance(shown, ParsedAccount)
        info = shown.parsed["info"]
        assert isinstance(info, dict)
        assert (info["owner"], info["state"]) == (str(buyer), "initialized")
        owned = MemcmpOpts(offset=_OWNER_AT, bytes=str(buyer))
        scan = await client.get_program_accounts(
            program, Processed, encoding="base64", filters=[owned]
        )
        assert [row.pubkey for row in scan.value] == [account]
        none = await client.get_program_accounts(
            program, Processed, encoding="base64", filters=[owned, 82]
        )
        assert none.value == []

    play(solana_node, story)


def test_a_mint_is_shown_parsed(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        mint = await scene.token(payer)
        found = (await scene.client.get_account_info_json_parsed(mint, Processed)).value
        assert found is not None
        assert isinstance(found.data, ParsedAccount)
        assert found.data.parsed == {
            "type": "mint",
            "info": {
                "decimals": DECIMALS,
                "freezeAuthority": None,
                "isInitialized": True,
                "mintAuthority": str(payer.pubkey()),
                "supply": "0",
            },
        }

    play(solana_node, story)


async def _multisig(scene: Scene, payer: Keypair, keys: list[Keypair], program: Pubkey) -> Pubkey:
    """A new 3 of 5."""
    account = Keypair()
    make = initialize_multisig2(
        InitializeMultisig2Params(
            program_id=program,
            multisig=account.pubkey(),
            m=3,
            signers=[key.pubkey() for key in keys],
        )
    )
    create = await scene.create(payer, account, _MULTISIG_BYTES, program)
    await scene.send([create, make], payer, account)
    return account.pubkey()


@PROGRAMS
def test_three_of_five_move_tokens_and_two_do_not(solana_node: Solana, program: Pubkey) -> None:
    async def story(scene: Scene) -> None:
        payer, keys = await scene.funded(), [Keypair() for _ in range(5)]
        many = await _multisig(scene, payer, keys, program)
        mint = await scene.token(payer, program)
        source = await scene.holding(payer, mint, many, 10 * _UNITS, program)
        dest = await scene.holding(payer, mint, Keypair().pubkey(), 0, program)
        moved = 0
        for units, chosen in enumerate(combinations(keys, 3), start=1):
            signers = [key.pubkey() for key in chosen]
            move = _move(program, mint, source, dest, many, *signers, units=units)
            await scene.send([transfer_checked(move)], payer, *chosen)
            moved += units
            assert await _units(scene, dest) == moved
        for units, chosen2 in enumerate(combinations(keys, 2), start=1):
            signers = [key.pubkey() for key in chosen2]
            move = _move(program, mint, source, dest, many, *signers, units=units)
            with pytest.raises(RPCException) as caught:
                await scene.send([transfer_checked(move)], payer, *chosen2)
            refused = caught.value.args[0]
            assert isinstance(refused, SendTransactionPreflightFailureMessage)
            assert "missing required signature" in refused.message
        assert await _units(scene, dest) == moved == 55

    play(solana_node, story)


def test_a_multisig_counts_each_key_once_and_no_stranger(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, keys = await scene.funded(), [Keypair() for _ in range(5)]
        many = await _multisig(scene, payer, keys, TOKEN_PROGRAM_ID)
        mint = await scene.token(payer)
        source = await scene.holding(payer, mint, many, _UNITS)
        dest = await scene.holding(payer, mint, Keypair().pubkey())
        a, b, stranger = keys[0], keys[1], Keypair()
        for chosen in ([a, b, a], [a, b, stranger]):
            signers = [key.pubkey() for key in chosen]
            move = _move(TOKEN_PROGRAM_ID, mint, source, dest, many, *signers)
            with pytest.raises(RPCException, match="missing required signature"):
                await scene.send([transfer_checked(move)], payer, *dict.fromkeys(chosen))
        assert await _units(scene, dest) == 0

    play(solana_node, story)


def test_sol_is_wrapped_and_unwrapped(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer, mint = await scene.funded(10), WRAPPED_SOL_MINT
        account = get_associated_token_address(payer.pubkey(), mint)
        wrap = [
            create_associated_token_account(payer.pubkey(), payer.pubkey(), mint),
            pay(payer, account, 2 * SOL),
            sync_native(SyncNativeParams(program_id=TOKEN_PROGRAM_ID, account=account)),
        ]
        await scene.send(wrap, payer)
        held = (await scene.client.get_token_account_balance(account, Processed)).value
        assert (held.amount, held.decimals) == (str(2 * SOL), 9)
        close = CloseAccountParams(
            program_id=TOKEN_PROGRAM_ID,
            account=account,
            dest=payer.pubkey(),
            owner=payer.pubkey(),
        )
        await scene.send([close_account(close)], payer)
        assert (await scene.client.get_account_info(account, Processed)).value is None
        left = (await scene.client.get_balance(payer.pubkey(), Processed)).value
        assert left == 10 * SOL - 2 * 5_000

    play(solana_node, story)


def test_a_memo_is_shown_with_the_signature(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        payer = await scene.funded()
        memo = create_memo(
            MemoParams(program_id=MEMO_PROGRAM_ID, signer=payer.pubkey(), message=b"invoice 7")
        )
        await scene.send([memo], payer)
        scene.advance()
        rows = await scene.client.get_signatures_for_address(payer.pubkey(), commitment=Confirmed)
        assert rows.value[0].memo == "[9] invoice 7"

    play(solana_node, story)


def test_a_program_is_found_but_not_written(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        for program in (TOKEN_PROGRAM_ID, TOKEN_2022_PROGRAM_ID, MEMO_PROGRAM_ID):
            found = (await scene.client.get_account_info(program, Processed)).value
            assert found is not None
            assert found.executable

    play(solana_node, story)
