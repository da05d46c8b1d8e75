"""What a group has beside its seed: a key for each sweep signer, one hot and one warm wallet."""

import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pymysql
import pytest

from orion.adapters.aws.seed_vault import KmsSecretVault
from orion.adapters.mysql.session import Database
from orion.chains import base58
from orion.chains.ethereum.keccak import keccak256
from orion.chains.spend import CustodyPlace, WalletKind, custody
from orion.kms.errors import (
    CustodySetsMissing,
    GroupWithoutCustody,
    SeedRefused,
    SeedVaultUnavailable,
    UnusableNetworks,
)
from orion.kms.groups import ChainKey, CustodyPlan, CustodyRow, GroupContents
from orion.kms.keys.ed25519_key import Ed25519Key
from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.kms.model import (
    Networks,
    SealedSeed,
    WalletGroup,
    chain_key_alias,
    chain_key_purpose,
    group_created,
)
from orion.wallet.paths import Path
from tests.engine.kms_scene import (
    FEE_PAYER,
    FOUR,
    HOT_SET,
    NOW,
    PLAN,
    WARM_SET,
    aws_client,
    connected,
    custody_keys,
    emptied,
    new_stage,
    outbox,
    register_sets,
    rows,
    seed_vault,
    wallet_service,
)

pytestmark = pytest.mark.engine
NAMES = {"bitcoin", "ethereum", "tron", "solana", "tron-custody"}
# The node of each chain key, from the standards, and not from the product's path functions.
NODES = {
    "bitcoin": "m/84'/1'/0'",
    "ethereum": "m/44'/60'/0'",
    "tron": "m/44'/195'/0'",
    "tron-custody": "m/44'/195'/1'",
}


@pytest.fixture
def database(mysql_admin: Any) -> Iterator[Callable[[], Database]]:
    opened: list[Database] = []

    def connect() -> Database:
        opened.append(connected(mysql_admin))
        return opened[-1]

    emptied(mysql_admin)
    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def kms(aws_engine: Any) -> Any:
    return aws_client(aws_engine, "kms")


@pytest.fixture(scope="module")
def stage(aws_engine: Any) -> str:
    return new_stage(aws_client(aws_engine, "kms"))


def opened(kms: Any, stage: str, database: Database, group: int, name: str) -> bytes:
    """A chain key as its sweep signer opens it."""
    ((ciphertext, key_arn),) = rows(
        database,
        "SELECT ciphertext, key_arn FROM group_chain_key WHERE group_no = %s AND chain = %s",
        group,
        name,
    )
    vault = KmsSecretVault(kms, key_arn, stage, chain_key_purpose(name))
    with vault.opened(group, SealedSeed(ciphertext, key_arn)) as plain:
        return bytes(plain)


def test_a_group_has_a_chain_key_of_every_chain_that_derives_its_wallets(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    group = wallet_service(kms, stage, database()).create_group(3)

    found = {name: opened(kms, stage, database(), 3, name) for name in NAMES}
    with seed_vault(kms, stage).opened(3, group.seed) as seed:
        root, edwards = ExtendedPrivateKey.master(seed), Ed25519Key.master(seed)
    for name, path in NODES.items():
        assert found[name] == root.derive(Path.parse(path)).payload()
    assert found["solana"] == edwards.derive(Path.parse("m/44'/501'")).payload()
    assert rows(database(), "SELECT COUNT(*) FROM group_chain_key") == [(5,)]


def test_each_chain_key_opens_under_its_own_kms_key_and_context_only(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    wallet_service(kms, stage, database()).create_group(3)
    arns = {
        name: kms.describe_key(KeyId=f"alias/orion/{stage}/{chain_key_alias(name)}")["KeyMetadata"][
            "Arn"
        ]
        for name in NAMES
    }
    stored = rows(database(), "SELECT chain, ciphertext, key_arn FROM group_chain_key")
    assert {name: arn for name, _, arn in stored} == arns
    assert len(set(arns.values())) == 4  # The two of Tron share their signer's key.
    for name, ciphertext, arn in stored:
        sealed = SealedSeed(ciphertext, arn)
        for other in NAMES - {name}:
            vault = KmsSecretVault(kms, arn, stage, chain_key_purpose(other))
            with pytest.raises(SeedRefused), vault.opened(3, sealed):
                pass
        vault = KmsSecretVault(kms, arn, stage, chain_key_purpose(name))
        with pytest.raises(SeedRefused), vault.opened(4, sealed):
            pass


def test_a_group_has_one_hot_and_one_warm_wallet_on_every_chain(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    wallet_service(kms, stage, database()).create_group(5)

    assert rows(database(), "SELECT kind, set_no FROM group_custody ORDER BY kind") == [
        ("hot", HOT_SET),
        ("warm", WARM_SET),
    ]
    found = rows(
        database(),
        "SELECT kind, chain, set_no, anchor, address, on_chain_at FROM custody_account",
    )
    assert len(found) == 8
    assert len({address for _, _, _, _, address, _ in found}) == 8
    for kind, chain, set_no, anchor, address, on_chain_at in found:
        place = CustodyPlace(chain, FOUR.by_chain()[chain], 5, WalletKind(kind), set_no)
        account = custody(chain).account(place, custody_keys(set_no), anchor)
        assert account.address == address
        assert on_chain_at is None
    anchors = {(kind, chain): anchor for kind, chain, _, anchor, _, _ in found}
    assert {anchors["hot", "solana"], anchors["warm", "solana"]} == {FEE_PAYER}
    assert {anchors[k, c] for k in ("hot", "warm") for c in ("bitcoin", "ethereum")} == {""}


def test_the_tron_wallets_are_named_by_keys_that_no_customers_address_comes_from(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    from eth_account import Account

    wallet_service(kms, stage, database()).create_group(6)

    node = ExtendedPrivateKey.parse(opened(kms, stage, database(), 6, "tron-custody"))
    for place, kind in enumerate(("hot", "warm")):
        secret = node.derive(Path((0, place))).payload()[-32:]
        account = bytes.fromhex(Account.from_key(secret).address[2:])
        ((anchor,),) = rows(
            database(),
            "SELECT anchor FROM custody_account"
            " WHERE group_no = 6 AND chain = 'tron' AND kind = %s",
            kind,
        )
        assert anchor == base58.encode_check(b"\x41" + account)
        assert len(keccak256(account)) == 32


def test_many_concurrent_creators_make_one_group_with_everything(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    creators = [wallet_service(kms, stage, database()) for _ in range(4)]
    barrier = threading.Barrier(len(creators))

    def create(number: int) -> bytes:
        barrier.wait(timeout=10)
        return creators[number].create_group(7).seed.ciphertext

    with ThreadPoolExecutor(len(creators)) as pool:
        assert len(set(pool.map(create, range(len(creators))))) == 1

    # The keys that stand there are the winner's, and not of a seed that was dropped.
    group = creators[0].create_group(7)
    with seed_vault(kms, stage).opened(7, group.seed) as seed:
        wanted = ExtendedPrivateKey.master(seed).derive(Path.parse("m/84'/1'/0'")).payload()
    assert opened(kms, stage, database(), 7, "bitcoin") == wanted
    assert rows(database(), "SELECT COUNT(*) FROM custody_account") == [(8,)]
    assert len(outbox(database(), "audit.events")) == 1


def test_nothing_of_a_dropped_seed_is_stored_beside_another_seed(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    two = Networks("regtest", "31337")
    winner = wallet_service(kms, stage, database(), two).create_group(7)
    # Had it looked before the winner committed, this creator would come with a seed of its own.
    late = wallet_service(kms, stage, database())
    own = WalletGroup(7, seed_vault(kms, stage).seal_new(7), NOW)
    key = ChainKey("solana", own.seed)
    sets = {WalletKind.HOT: HOT_SET, WalletKind.WARM: WARM_SET}
    contents = GroupContents(own, (key,), sets, (), NOW)

    assert late.store.add(contents, group_created(7, "arn", {}, "0" * 32, NOW)) == winner

    assert rows(database(), "SELECT chain FROM group_chain_key ORDER BY chain") == [
        ("bitcoin",),
        ("ethereum",),
    ]
    assert len(outbox(database(), "audit.events")) == 1


def test_a_group_that_exists_gets_what_a_new_chain_of_the_stage_needs(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    two = Networks("regtest", "31337")
    before = wallet_service(kms, stage, database(), two).create_group(8)
    assert rows(database(), "SELECT COUNT(*) FROM custody_account") == [(4,)]
    ((kept,),) = rows(database(), "SELECT ciphertext FROM group_chain_key WHERE chain = 'ethereum'")

    assert wallet_service(kms, stage, database()).create_group(8) == before

    assert rows(database(), "SELECT COUNT(*) FROM custody_account") == [(8,)]
    assert rows(database(), "SELECT ciphertext FROM group_chain_key WHERE chain = 'ethereum'") == [
        (kept,)
    ]
    assert opened(kms, stage, database(), 8, "solana")
    assert len(outbox(database(), "audit.events")) == 1


def test_a_complete_group_is_answered_without_opening_its_seed(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    group = wallet_service(kms, stage, database()).create_group(9)
    kms.disable_key(KeyId=group.seed.key_arn)
    try:
        assert wallet_service(kms, stage, database()).create_group(9) == group
        with pytest.raises(SeedVaultUnavailable):
            wallet_service(kms, stage, database()).create_group(10)
    finally:
        kms.enable_key(KeyId=group.seed.key_arn)


def test_a_group_keeps_the_sets_that_hold_it_when_the_deployment_maps_others(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    two = Networks("regtest", "31337")
    wallet_service(kms, stage, database(), two).create_group(11)
    with database().transaction() as cursor:
        register_sets(cursor, {80: WalletKind.HOT, 81: WalletKind.WARM})
    others = CustodyPlan((CustodyRow(0, 99, 80, 81),), FEE_PAYER)

    wallet_service(kms, stage, database(), FOUR, others).create_group(11)

    assert rows(database(), "SELECT DISTINCT set_no FROM custody_account ORDER BY set_no") == [
        (HOT_SET,),
        (WARM_SET,),
    ]


@pytest.mark.parametrize(
    "sets",
    [
        {HOT_SET: WalletKind.HOT},
        {WARM_SET: WalletKind.WARM},
        {HOT_SET: WalletKind.WARM, WARM_SET: WalletKind.WARM},
    ],
)
def test_no_group_is_made_before_its_sets_are_registered_for_their_purpose(
    kms: Any,
    stage: str,
    database: Callable[[], Database],
    sets: dict[int, WalletKind],
) -> None:
    with database().transaction() as cursor:
        cursor.execute("DELETE FROM custody_set")
        register_sets(cursor, sets)

    with pytest.raises(CustodySetsMissing):
        wallet_service(kms, stage, database()).create_group(12)
    assert rows(database(), "SELECT COUNT(*) FROM wallet_group") == [(0,)]


def test_a_group_that_no_row_maps_is_refused_and_a_chain_without_fee_payer_too(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    narrow = CustodyPlan((CustodyRow(0, 9, HOT_SET, WARM_SET),), FEE_PAYER)
    with pytest.raises(GroupWithoutCustody):
        wallet_service(kms, stage, database(), FOUR, narrow).create_group(10)
    with pytest.raises(UnusableNetworks):
        wallet_service(kms, stage, database(), FOUR, CustodyPlan(PLAN.rows)).create_group(9)
    assert rows(database(), "SELECT COUNT(*) FROM wallet_group") == [(0,)]


def test_the_database_itself_lets_no_wallet_be_held_by_a_set_of_the_other_purpose(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    wallet_service(kms, stage, database()).create_group(13)
    for kind, set_no in (("hot", WARM_SET), ("warm", HOT_SET)):
        with pytest.raises(pymysql.err.IntegrityError), database().transaction() as cursor:
            cursor.execute(
                "UPDATE group_custody SET set_no = %s WHERE group_no = 13 AND kind = %s",
                (set_no, kind),
            )
    with pytest.raises(pymysql.err.IntegrityError), database().transaction() as cursor:
        cursor.execute("UPDATE custody_set SET purpose = 'warm' WHERE set_no = %s", (HOT_SET,))


def test_a_stored_chain_key_shows_nothing_of_the_key(
    kms: Any, stage: str, database: Callable[[], Database]
) -> None:
    number = secrets.randbelow(1_000) + 100
    wallet_service(kms, stage, database()).create_group(number)
    plain = {name: opened(kms, stage, database(), number, name) for name in NAMES}
    stored = rows(database(), "SELECT ciphertext FROM group_chain_key")
    for secret in plain.values():
        for part in (secret[-32:], secret[-64:-32]):
            assert not any(part in ciphertext for (ciphertext,) in stored)
