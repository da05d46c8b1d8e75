"""Known seeds are planted, every signer runs well and badly, and all that they wrote is searched
for the seeds and for each private key between them and a signature.
"""

import base64
import hmac
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from orion.chains.solana.address import address_of
from orion.chains.spend import WalletKind
from orion.chains.tron.creation import handover
from orion.kms.signing.accounts import verified
from tests.engine import kms_signing_processes as processes
from tests.engine import kms_signing_scene as scene
from tests.engine import kms_signing_transactions as transactions
from tests.engine.kms_signing_scene import NETWORKS, TRACE, Call, Stage
from tests.engine.test_kms_secrets_stay import (
    base58check,
    canaries,
    database_dump,
    forms,
    search,
)

pytestmark = pytest.mark.engine
GROUP, BROKEN = 31, 32
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HARDENED = 1 << 31
# Where sweeps and handovers go beyond the accounts that `canaries` knows.
PATHS = {
    "bitcoin wallet 7": (84 | HARDENED, 1 | HARDENED, HARDENED, 0, 7),
    "bitcoin wallet 8": (84 | HARDENED, 1 | HARDENED, HARDENED, 0, 8),
    "ethereum wallet 7": (44 | HARDENED, 60 | HARDENED, HARDENED, 0, 7),
    "tron wallet 7": (44 | HARDENED, 195 | HARDENED, HARDENED, 0, 7),
    "tron naming key hot": (44 | HARDENED, 195 | HARDENED, 1 | HARDENED, 0, 0),
    "tron naming key warm": (44 | HARDENED, 195 | HARDENED, 1 | HARDENED, 0, 1),
}
SOLANA_WALLETS = (7, 8)


def extended(seed: bytes, path: Sequence[int]) -> Iterator[tuple[int, bytes, bytes]]:
    """Depth, private key and chain code of each node on a path (BIP-32), without the product."""
    from coincurve import PrivateKey

    mixed = hmac.digest(b"Bitcoin seed", seed, "sha512")
    key, chain = mixed[:32], mixed[32:]
    for depth, number in enumerate(path, start=1):
        head = b"\0" + key if number >= HARDENED else PrivateKey(key).public_key.format()
        child = hmac.digest(chain, head + number.to_bytes(4, "big"), "sha512")
        total = int.from_bytes(child[:32], "big") + int.from_bytes(key, "big")
        key, chain = (total % ORDER).to_bytes(32, "big"), child[32:]
        yield depth, key, chain


def signing_canaries(seed: bytes) -> dict[str, bytes]:
    """Every private key of the paths in every form; of account nodes the chain code and the text
    that an extended private key is written as, except for the lineage's few bytes.
    """
    found = canaries(seed)
    for name, path in PATHS.items():
        for depth, key, chain in extended(seed, path):
            found |= dict(forms(f"{name} at {depth}", key))
            if depth >= 3:
                found |= dict(forms(f"{name}'s chain code at {depth}", chain))
                found[f"{name}'s node at {depth}"] = chain + b"\0" + key
    mixed = hmac.digest(b"ed25519 seed", seed, "sha512")
    for number in (44, 501):
        mixed = slip_10_child(mixed, number)
    found |= dict(forms("solana node", mixed[32:] + mixed[:32]))
    for index in SOLANA_WALLETS:
        account = slip_10_child(mixed, index)
        found |= dict(forms(f"solana account {index}", account[:32]))
        found |= dict(forms(f"solana wallet {index}", slip_10_child(account, 0)[:32]))
    return found


def slip_10_child(node: bytes, index: int) -> bytes:
    number = (index | HARDENED).to_bytes(4, "big")
    return hmac.digest(node[32:], b"\0" + node[:32] + number, "sha512")


def xprvs(stage: Stage, seed: bytes) -> dict[str, bytes]:
    """The stored nodes as BIP-32 writes them, with both versions that wallets know."""
    from orion.kms.keys.chain_keys import chain_keys

    found: dict[str, bytes] = {}
    for name, node in chain_keys(seed, NETWORKS).items():
        if len(node) == 78:
            for version in ("0488ade4", "04358394", "04b2430c", "045f18bc"):
                text = base58check(bytes.fromhex(version) + bytes(node[4:]))
                found[f"{name} {version} of {stage.name}"] = text.encode()
    return found


def calls(stage: Stage, seed: bytes) -> list[Call]:
    """Every signer, asked for what it signs and for what it refuses."""
    found: list[Call] = []
    for chain in NETWORKS:
        file = f"functions/kms/sweep_{chain}.py"
        good = transactions.sweep_of(GROUP, chain, seed, stage.custody_address(GROUP, chain))
        stranger = transactions.sweep_of(GROUP, chain, seed, stage.custody_address(BROKEN, chain))
        found += [
            (file, transactions.as_event(good)),
            (file, transactions.as_event(stranger)),
            (file, transactions.as_event(replace(good, group_no=BROKEN))),
            (file, transactions.as_event(replace(good, unsigned=good.unsigned[:-1]))),
            (file, {**transactions.as_event(good), "indexes": [10_000]}),
        ]
    account = stage.handovers().store.account(GROUP, WalletKind.HOT)
    assert account is not None
    unsigned = handover(verified(account), transactions.tron_frame())
    hand_over = {
        "v": 1, "trace_id": TRACE, "group": GROUP, "wallet": "hot", "unsigned": encoded(unsigned),
    }  # fmt: skip
    found += [
        ("functions/kms/tron_handover.py", hand_over),
        ("functions/kms/tron_handover.py", {**hand_over, "wallet": "warm"}),
        ("functions/kms/tron_handover.py", {**hand_over, "unsigned": ""}),
    ]
    execution = {"v": 1, "trace_id": TRACE, "groups": [GROUP]}
    carry = {**execution, "safe_nonce": "0"}
    payer = address_of(stage.floats("solana").key.public_key())
    target = stage.custody_address(GROUP, "solana")
    message, _ = transactions.solana_sweep(seed, SOLANA_WALLETS, target, fee_payer=payer)
    carried = transactions.execution(stage.account(GROUP, "ethereum"))
    conflicting = transactions.execution(stage.account(GROUP, "ethereum"), value=6)
    export = {"v": 1, "trace_id": TRACE, "first_group": 0, "last_group": 99, "limit": 50,
              "after": None}  # fmt: skip
    return [
        *found,
        ("functions/kms/executor_ethereum.py", {**carry, "unsigned": encoded(carried)}),
        ("functions/kms/executor_ethereum.py", {**carry, "unsigned": encoded(conflicting)}),
        ("functions/kms/fee_payer_solana.py", {**execution, "unsigned": encoded(message)}),
        ("functions/kms/fee_payer_solana.py", {**execution, "unsigned": encoded(message[:-1])}),
        ("functions/kms/custody_export.py", export),
        ("functions/kms/custody_sets.py", {"v": 1, "trace_id": TRACE, "sets": []}),
    ]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def break_group(stage: Stage) -> None:
    """The second group's chain keys are the first one's: their opening fails half-way."""
    with stage.database.transaction() as cursor:
        cursor.execute("DELETE FROM group_chain_key WHERE group_no = %s", (BROKEN,))
        cursor.execute(
            "INSERT INTO group_chain_key SELECT %s, chain, ciphertext, key_arn, created_at"
            " FROM group_chain_key WHERE group_no = %s",
            (BROKEN, GROUP),
        )


def test_no_key_leaves_the_signers(aws_engine: Any, mysql_admin: Any) -> None:
    stage = scene.new_stage_on(aws_engine, mysql_admin)
    stage.register()
    seed = secrets.token_bytes(32)
    stage.plant(GROUP, seed)
    stage.on_chain(GROUP)
    stage.plant(BROKEN, secrets.token_bytes(32))
    break_group(stage)
    environment = processes.deployed(stage, aws_engine, mysql_admin)
    output = processes.ran(environment, calls(stage, seed))
    places = {
        "logs and answers": output,
        "database and outbox": database_dump(mysql_admin),
        "the AWS engine's log": aws_engine.log.read_bytes(),
        "the database's log": mysql_admin.log.read_bytes(),
        "the database's changes": b"".join(
            path.read_bytes() for path in sorted(mysql_admin.data.glob("binlog.0*"))
        ),
    }

    # The signers did their work, well and badly: otherwise there was nothing to find.
    found = processes.answers(output)
    assert [row["outcome"] for row in found].count("signed") == 4 + 1 + 2
    assert [row["outcome"] for row in found].count("page") == 1
    codes = {row["code"] for row in found if row["outcome"] == "refused"}
    assert codes >= {
        "recipient_not_ours", "spend_refused", "malformed_request", "chain_key_refused",
        "body_conflicts",
    }  # fmt: skip
    assert b"sweep.signed" in places["database and outbox"]
    assert b"sweep.signed" in places["the database's changes"]

    wanted = signing_canaries(seed) | xprvs(stage, seed)
    assert search(places, wanted) == []

    # The positive control: each form is found in each place, in the midst of other text.
    for what, form in wanted.items():
        for place, text in places.items():
            half = max(0, len(text) // 2 - 5_000)
            planted = {place: text[half : half + 5_000] + form + text[half + 5_000 : half + 9_000]}
            assert f"{what} in {place}" in search(planted, {what: form})
    stage.database.close()


def test_the_search_would_find_a_signer_that_wrote_its_key(
    aws_engine: Any, mysql_admin: Any
) -> None:
    stage = scene.new_stage_on(aws_engine, mysql_admin)
    stage.register()
    seed = secrets.token_bytes(32)
    stage.plant(GROUP, seed)
    stage.on_chain(GROUP)
    environment = processes.deployed(stage, aws_engine, mysql_admin)
    # A signer that logs the node it opened, in a process of its own: nothing of it is the product.
    leaking = (
        "import logging, orion.kms.signing.sweep as sweep\n"
        "real = sweep.wallet_keys\n"
        "def talkative(chain, node, indexes):\n"
        "    logging.getLogger('orion').warning('node %s', bytes(node).hex())\n"
        "    return real(chain, node, indexes)\n"
        "sweep.wallet_keys = talkative\n"
    )
    request = transactions.sweep_of(GROUP, "tron", seed, stage.custody_address(GROUP, "tron"))
    called: list[Call] = [("functions/kms/sweep_tron.py", transactions.as_event(request))]
    output = processes.ran(environment, called, before=leaking)
    assert [row["outcome"] for row in processes.answers(output)] == ["signed"]
    found = search({"logs": output}, signing_canaries(seed))
    assert "tron account hex in logs" in found
    stage.database.close()
