"""Group seeds and address pools against a real KMS API and a real database."""

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from orion.adapters.aws.seed_vault import KmsSeedVault
from orion.adapters.mysql.kms_groups import MySqlGroupStore
from orion.adapters.mysql.session import Database
from orion.kms.errors import GroupNotFound, MalformedRequest, SeedRefused, SeedVaultUnavailable
from orion.kms.groups import GroupContents
from orion.kms.model import Networks, PoolRequest, SealedSeed, WalletGroup, group_created
from orion.kms.service import WalletService
from orion.records import Record, canonical_json
from orion.wallet.addresses import WalletRange
from tests.engine.kms_scene import (
    NOW,
    aws_client,
    connected,
    emptied,
    new_stage,
    outbox,
    seed_vault,
    wallet_service,
)

pytestmark = pytest.mark.engine
NETWORKS = Networks("regtest", "31337")
TRACE = "cd" * 16

Service = Callable[[Database], WalletService]


@pytest.fixture
def database(mysql_admin: Any) -> Iterator[Callable[[], Database]]:
    """Connections to the module's schema, emptied before each test."""
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


@pytest.fixture
def stage(kms: Any) -> str:
    """A stage of its own for every test, with its keys."""
    return new_stage(kms)


@pytest.fixture
def vault(kms: Any, stage: str) -> KmsSeedVault:
    return seed_vault(kms, stage)


@pytest.fixture
def service(kms: Any, stage: str) -> Service:
    return lambda database: wallet_service(kms, stage, database, NETWORKS)


def wallets(bodies: list[Mapping[str, object]]) -> dict[int, Mapping[str, str]]:
    rows = [row for body in bodies for row in cast(list[Any], body["wallets"])]
    return {row["index"]: row["addresses"] for row in rows}


def request(offset: int, first: int, count: int, group: int = 0) -> Record:
    body = {"v": 1, "trace_id": TRACE, "kind": "extend_pool", "group": group,
            "first_index": first, "count": count}  # fmt: skip
    return Record("wallet.requests", 0, offset, b"0", canonical_json(body))


def test_a_seed_comes_back_under_its_own_context_and_is_zeroed_after_use(
    vault: KmsSeedVault,
) -> None:
    plain = bytearray(secrets.token_bytes(32))
    sealed = vault.seal(0, plain)

    assert bytes(plain) not in sealed.ciphertext
    with vault.opened(0, sealed) as seed:
        assert seed == plain
    assert seed == bytes(32)


def test_two_new_seeds_differ(vault: KmsSeedVault) -> None:
    first, second = vault.seal_new(0), vault.seal_new(0)

    with vault.opened(0, first) as one, vault.opened(0, second) as other:
        assert one != other
        assert len(one) == len(other) == 32


def test_a_seed_is_refused_under_another_groups_context(vault: KmsSeedVault) -> None:
    sealed = vault.seal_new(0)

    with pytest.raises(SeedRefused), vault.opened(1, sealed):
        pass


def test_a_seed_is_refused_in_another_stage(kms: Any, stage: str, vault: KmsSeedVault) -> None:
    sealed = vault.seal_new(0)
    other = KmsSeedVault(kms, f"alias/orion/{stage}/wallet-seeds", f"{stage}x")

    with pytest.raises(SeedRefused), other.opened(0, sealed):
        pass


def test_an_altered_seed_is_refused_at_every_part(vault: KmsSeedVault) -> None:
    sealed = vault.seal_new(0)
    for place in range(0, len(sealed.ciphertext), 5):
        changed = bytearray(sealed.ciphertext)
        changed[place] ^= 1
        with (
            pytest.raises(SeedRefused),
            vault.opened(0, SealedSeed(bytes(changed), sealed.key_arn)),
        ):
            pass


def test_a_seed_is_refused_when_its_context_says_more_than_this_group(
    kms: Any, stage: str, vault: KmsSeedVault
) -> None:
    # A keyring is content with part of a context: a message bound to more would pass it.
    from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
    from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
    from aws_cryptographic_material_providers.mpl.models import CreateAwsKmsKeyringInput
    from aws_encryption_sdk import EncryptionSDKClient

    arn = vault.seal_new(0).key_arn
    keyring = AwsCryptographicMaterialProviders(
        config=MaterialProvidersConfig()
    ).create_aws_kms_keyring(input=CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=kms))
    context = {"group": "0", "purpose": "wallet-seed", "stage": stage, "also": "group 1"}
    ciphertext, _ = EncryptionSDKClient().encrypt(
        source=b"x" * 32, keyring=keyring, encryption_context=context
    )

    with pytest.raises(SeedRefused), vault.opened(0, SealedSeed(ciphertext, arn)):
        pass


def test_a_disabled_key_is_no_refusal_of_the_seed(kms: Any, vault: KmsSeedVault) -> None:
    sealed = vault.seal_new(0)
    kms.disable_key(KeyId=sealed.key_arn)

    with pytest.raises(SeedVaultUnavailable), vault.opened(0, sealed):
        pass
    with pytest.raises(SeedVaultUnavailable):
        vault.seal_new(0)
    kms.enable_key(KeyId=sealed.key_arn)
    with vault.opened(0, sealed) as seed:
        assert len(seed) == 32


def test_a_vault_without_its_key_says_that_nothing_happened(kms: Any) -> None:
    with pytest.raises(SeedVaultUnavailable):
        KmsSeedVault(kms, "alias/orion/nowhere/wallet-seeds", "nowhere").seal_new(0)


def test_creating_a_group_again_gives_the_stored_one_and_one_audit_event(
    service: Service, database: Callable[[], Database]
) -> None:
    kms_service = service(database())
    first = kms_service.create_group(4, TRACE)

    assert kms_service.create_group(4) == first
    (event,) = outbox(database(), "audit.events")
    assert (event["action"], event["subject"]) == ("wallet_group.created", "group:4")


def test_many_concurrent_creators_make_one_seed(
    service: Service, database: Callable[[], Database]
) -> None:
    creators = [service(database()) for _ in range(4)]
    barrier = threading.Barrier(len(creators))

    def create(creator: WalletService) -> WalletGroup:
        barrier.wait(timeout=10)
        return creator.create_group(5)

    with ThreadPoolExecutor(len(creators)) as pool:
        groups = list(pool.map(create, creators))

    assert len({group.seed.ciphertext for group in groups}) == 1
    assert len(outbox(database(), "audit.events")) == 1


@pytest.mark.parametrize("winner_commits", [True, False])
def test_a_creator_that_meets_an_uncommitted_group_waits_for_its_outcome(
    mysql_admin: Any,
    vault: KmsSeedVault,
    service: Service,
    database: Callable[[], Database],
    winner_commits: bool,
) -> None:
    winner = vault.seal_new(6)
    first = mysql_admin.connect()
    with ThreadPoolExecutor(1) as pool, first, first.cursor() as cursor:
        first.begin()
        cursor.execute(
            "INSERT INTO orion_kms.wallet_group VALUES (6, %s, %s, %s)",
            (winner.ciphertext, winner.key_arn, NOW.replace(tzinfo=None)),
        )
        # The hazard: the second one sees no group; without a guard its own seed would stand.
        assert MySqlGroupStore(database()).find(6) is None
        second = pool.submit(service(database()).create_group, 6)
        with pytest.raises(TimeoutError):
            second.result(timeout=1)
        if winner_commits:
            first.commit()
        else:
            first.rollback()
        group = second.result(timeout=20)

    assert (group.seed == winner) is winner_commits
    assert MySqlGroupStore(database()).find(6) == group


def test_a_range_derived_again_is_identical_and_stays_one_event(
    service: Service, database: Callable[[], Database]
) -> None:
    kms_service = service(database())
    kms_service.create_group(0)
    wanted = PoolRequest(0, WalletRange(0, 700), TRACE)
    first = kms_service.derive(wanted)
    bodies = outbox(database(), "wallet.addresses")

    assert kms_service.derive(wanted) == first
    assert first.records == len(bodies) == 2
    assert outbox(database(), "wallet.addresses") == bodies
    assert sorted(wallets(bodies)) == list(range(700))
    assert len({row[chain] for row in wallets(bodies).values() for chain in row}) == 1_400

    # Another process, another connection, overlapping indexes: the same wallets.
    with database().transaction() as cursor:
        cursor.execute("DELETE FROM outbox")
    service(database()).derive(PoolRequest(0, WalletRange(650, 100), TRACE))
    again = wallets(outbox(database(), "wallet.addresses"))
    assert {index: again[index] for index in range(650, 700)} == {
        index: wallets(bodies)[index] for index in range(650, 700)
    }


def test_addresses_are_those_of_an_independent_library_for_the_same_seed(
    vault: KmsSeedVault, service: Service, database: Callable[[], Database]
) -> None:
    from eth_account import Account
    from eth_account.hdaccount.deterministic import HDPath

    seed = bytearray(secrets.token_bytes(32))
    sealed = vault.seal(7, seed)
    store = MySqlGroupStore(database())
    created = group_created(7, sealed.key_arn, {}, TRACE, NOW)
    store.add(GroupContents(WalletGroup(7, sealed, NOW), (), {}, (), NOW), created)
    service(database()).derive(PoolRequest(7, WalletRange(9_990, 10), TRACE))

    found = wallets(outbox(database(), "wallet.addresses"))
    for index in range(9_990, 10_000):
        key = HDPath(f"m/44'/60'/0'/0/{index}").derive(bytes(seed))
        assert found[index]["ethereum"] == Account.from_key(key).address.lower()
    # Bitcoin's side of the same claim: tests/unit/test_wallet_derivation.py, with BDK.


def test_a_group_without_a_seed_is_refused(
    service: Service, database: Callable[[], Database]
) -> None:
    with pytest.raises(GroupNotFound):
        service(database()).derive(PoolRequest(8, WalletRange(0, 1), TRACE))


def test_repeated_and_overlapping_batches_answer_each_request_once(
    service: Service, database: Callable[[], Database]
) -> None:
    kms_service = service(database())
    kms_service.create_group(0)
    records = [request(offset, offset * 3, 3) for offset in range(6)]

    assert kms_service.consume(records[:3]) == 3
    assert kms_service.consume(records[:3]) == 0
    assert kms_service.consume(records[1:]) == 3
    bodies = outbox(database(), "wallet.addresses")
    assert len(bodies) == 6
    assert sorted(wallets(bodies)) == list(range(18))


def test_a_malformed_request_leaves_nothing_of_its_batch(
    service: Service, database: Callable[[], Database]
) -> None:
    kms_service = service(database())
    kms_service.create_group(0)
    bad = Record("wallet.requests", 0, 1, b"0", b'{"v":1}')

    with pytest.raises(MalformedRequest):
        kms_service.consume([request(0, 0, 3), bad])
    assert outbox(database(), "wallet.addresses") == []
    assert kms_service.consume([request(0, 0, 3)]) == 1
