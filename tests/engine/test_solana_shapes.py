"""Answers of the Solana stand-in have the keys and types of mainnet's (tests/data/solana)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from solana.rpc.commitment import Confirmed
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.keypair import Keypair
from solders.message import Message
from solders.system_program import (
    CreateLookupTableParams,
    ExtendLookupTableParams,
    create_lookup_table,
    extend_lookup_table,
)
from solders.transaction import VersionedTransaction
from spl.token.constants import TOKEN_PROGRAM_ID
from spl.token.instructions import create_associated_token_account, transfer_checked
from spl.token.models import TransferCheckedParams

from infra.local.json_rpc import record, sequence
from infra.local.solana_node import Solana
from tests.engine.solana_scene import DECIMALS, SOL, Scene, pay, play

pytestmark = pytest.mark.engine
SAMPLES = Path(__file__).parents[1] / "data" / "solana"
Shape = dict[str, set[str]]

# What today's nodes add to the samples of 2021 to 2023, and what a sample happens to lack.
_NEWER = (
    ".computeUnitsConsumed",
    ".loadedAddresses",
    ".stackHeight",
    "TokenBalances[].owner",
    "TokenBalances[].programId",
    ".addressTableLookups",
    ".rewards",
    ".version",
    ".status.Err",
)
# Shapes below these belong to the program or the error, not to the answer.
_OPAQUE = (".parsed", ".err", ".status.Err")
_FOLDED = {"float": "number", "int": "number"}


def _walk(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    kind = type(value).__name__
    yield path, _FOLDED.get(kind, kind)
    if path.endswith(_OPAQUE):
        return
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _walk(below, f"{path}.{name}")
    elif isinstance(value, list):
        for below in value:
            yield from _walk(below, f"{path}[]")


def _shape(value: Any) -> Shape:
    found: Shape = {}
    for path, kind in _walk(value):
        found.setdefault(path, set()).add(kind)
    return found


async def _busy_block(scene: Scene) -> int:
    """A block with transfers, a failure, inner instructions, token moves and a lookup table."""
    payer, to = await scene.funded(), Keypair().pubkey()
    mint = await scene.token(payer)
    source = await scene.holding(payer, mint, payer.pubkey(), 5_000_000)
    dest = await scene.holding(payer, mint, to)
    recent = (await scene.client.get_slot(Confirmed)).value
    make, table = create_lookup_table(
        CreateLookupTableParams(
            authority_address=payer.pubkey(), payer_address=payer.pubkey(), recent_slot=recent
        )
    )
    wish = ExtendLookupTableParams(
        lookup_table_address=table,
        authority_address=payer.pubkey(),
        payer_address=payer.pubkey(),
        new_addresses=[to, mint],
    )
    await scene.send([make, extend_lookup_table(wish)], payer)
    scene.advance()
    tables = [AddressLookupTableAccount(key=table, addresses=[to, mint])]
    move = TransferCheckedParams(
        program_id=TOKEN_PROGRAM_ID,
        source=source,
        mint=mint,
        dest=dest,
        owner=payer.pubkey(),
        amount=1_250_000,
        decimals=DECIMALS,
    )
    failing = [pay(payer, to, 900 * SOL)]
    for versioned in (True, False):
        # The extension is a program that nobody decodes.
        more = extend_lookup_table({**wish, "new_addresses": [Keypair().pubkey()]})
        calls = [
            pay(payer, to, SOL),
            create_associated_token_account(payer.pubkey(), Keypair().pubkey(), mint),
            transfer_checked(move),
        ]
        for chosen in (calls, [more], failing):
            if versioned:
                done = await scene.signed(chosen, [payer], tables=tables)
            else:
                recent_hash = await scene.blockhash()
                message = Message.new_with_blockhash(chosen, payer.pubkey(), recent_hash)
                done = VersionedTransaction(message, [payer])
            await scene.post(done, preflight=False)
    return scene.advance() - 1


async def _answer(scene: Scene, encoding: str, version_max: int | None = 0) -> dict[str, Any]:
    options: dict[str, object] = {"encoding": encoding, "commitment": "confirmed"}
    if version_max is not None:
        options["maxSupportedTransactionVersion"] = version_max
    return record(scene.node.rpc.call("getBlock", await _busy_block(scene), options))


def _sample(name: str) -> dict[str, Any]:
    found = json.loads((SAMPLES / f"{name}.json").read_text())
    assert isinstance(found, dict)
    return found


def _compare(real: Shape, ours: Shape) -> None:
    # A list of the sample may be null where the sampled node kept no such data.
    missing = [path for path in real if path not in ours and _outer(path) not in ours]
    assert missing == []
    for path, kinds in real.items():
        found = ours.get(path) or ours[_outer(path)]
        assert kinds & found or "NoneType" in kinds | found, path
    added = [path for path in ours if path not in real and not _is_newer(path)]
    assert [path for path in added if not any(_null_above(real, path))] == []


def _outer(path: str) -> str:
    """The top-level instruction's path: no program here issues one that stays undecoded."""
    return path.replace(".meta.innerInstructions[].", ".transaction.message.")


def _is_newer(path: str) -> bool:
    return any(name in path for name in _NEWER)


def _null_above(real: Shape, path: str) -> Iterator[bool]:
    """Whether the sample has null or an empty list where ours goes on to `path`."""
    for known, kinds in real.items():
        if path.startswith((known + ".", known + "[")):
            yield "NoneType" in kinds or (kinds == {"list"} and known + "[]" not in real)


@pytest.mark.parametrize(
    "name, encoding",
    [
        ("block-new-token-account", "jsonParsed"),
        ("block-100000000", "jsonParsed"),
        ("block-versioned-tx", "json"),
    ],
)
def test_a_block_has_the_shape_of_mainnets(solana_node: Solana, name: str, encoding: str) -> None:
    async def story(scene: Scene) -> None:
        sample, block = _sample(name), await _answer(scene, encoding)
        versions = {row["version"] for row in sample["transactions"]}
        rows = [row for row in block["transactions"] if row["version"] in versions]
        _compare(_shape(sample), _shape({**block, "transactions": rows}))

    play(solana_node, story)


def test_a_legacy_transaction_has_the_shape_of_mainnets(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        block = await _answer(scene, "json")
        rows = [row for row in sequence(block["transactions"]) if record(row)["version"] != 0]
        for row in rows:
            del record(row)["version"]
        block["transactions"] = rows
        _compare(_shape(_sample("transaction-err")), _shape(block))

    play(solana_node, story)


def test_a_failure_has_the_form_of_mainnets(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        real = {
            json.dumps(_shape(row["meta"]["status"]), default=sorted)
            for row in _sample("transaction-err")["transactions"]
            if isinstance(row["meta"]["err"], dict)
        }
        block = await _answer(scene, "json")
        failed = [row["meta"] for row in block["transactions"] if row["meta"]["err"] is not None]
        assert failed[0]["err"] == {"InstructionError": [0, {"Custom": 1}]}
        assert failed[0]["status"] == {"Err": failed[0]["err"]}
        assert {json.dumps(_shape(failed[0]["status"]), default=sorted)} == real

    play(solana_node, story)


def test_a_transaction_alone_is_shown_as_in_its_block(solana_node: Solana) -> None:
    async def story(scene: Scene) -> None:
        for encoding in ("json", "jsonParsed", "base64", "base58"):
            block = await _answer(scene, encoding)
            listed = record(
                scene.node.rpc.call(
                    "getBlock",
                    block["parentSlot"] + 1,
                    {"transactionDetails": "signatures", "commitment": "confirmed"},
                )
            )
            options = {
                "encoding": encoding,
                "commitment": "confirmed",
                "maxSupportedTransactionVersion": 0,
            }
            for signature, row in zip(
                sequence(listed["signatures"]), block["transactions"], strict=True
            ):
                alone = record(scene.node.rpc.call("getTransaction", signature, options))
                assert alone.pop("slot") == block["parentSlot"] + 1
                assert alone.pop("blockTime") == block["blockTime"]
                assert alone == row

    play(solana_node, story)
