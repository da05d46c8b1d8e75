"""Groups that come to be because wallets were asked for, on a real KMS API and a real database."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from orion.adapters.mysql.session import Database
from orion.kms.errors import (
    GroupNotFound,
    GroupOutOfTurn,
    GroupsMadeTooFast,
    GroupWithoutCustody,
    MalformedRequest,
)
from orion.kms.groups import CustodyPlan, CustodyRow
from orion.kms.model import Networks
from orion.kms.requested import MADE_MAX, MADE_WITHIN
from orion.kms.service import WalletService
from orion.records import Record, canonical_json
from tests.engine.kms_scene import (
    FEE_PAYER,
    HOT_SET,
    NOW,
    WARM_SET,
    aws_client,
    connected,
    emptied,
    new_stage,
    outbox,
    rows,
    wallet_service,
)

pytestmark = pytest.mark.engine
TWO = Networks("regtest", "31337")
TRACE = "cd" * 16
LONG_AGO = NOW - timedelta(days=1)
FIRST_ONLY = CustodyPlan((CustodyRow(0, 1, HOT_SET, WARM_SET),), FEE_PAYER)


@pytest.fixture
def database(mysql_admin: Any) -> Iterator[Database]:
    emptied(mysql_admin)
    found = connected(mysql_admin)
    yield found
    found.close()


@pytest.fixture
def service(aws_engine: Any, database: Database) -> WalletService:
    kms = aws_client(aws_engine, "kms")
    return wallet_service(kms, new_stage(kms), database, TWO)


def at(service: WalletService, time: datetime) -> WalletService:
    return replace(service, now=lambda: time)


def request(offset: int, group: int) -> Record:
    body = {"v": 1, "trace_id": TRACE, "kind": "extend_pool", "group": group,
            "first_index": 0, "count": 2}  # fmt: skip
    return Record("wallet.requests", 0, offset, b"0", canonical_json(body))


def groups(database: Database) -> list[int]:
    found = rows(database, "SELECT group_no FROM wallet_group ORDER BY group_no")
    return [number for (number,) in found]


def test_a_request_makes_its_group_and_the_one_ahead_once(
    service: WalletService, database: Database
) -> None:
    at(service, LONG_AGO).create_group(0)
    with pytest.raises(GroupNotFound):
        service.consume([request(5, 1)])

    assert service.make_asked([request(5, 1)]) == [1, 2]
    assert service.make_asked([request(5, 1), request(6, 1)]) == []
    assert groups(database) == [0, 1, 2]
    assert [event["subject"] for event in outbox(database, "audit.events")] == [
        "group:0",
        "group:1",
        "group:2",
    ]
    ((keys,),) = rows(database, "SELECT COUNT(*) FROM group_chain_key WHERE group_no = 1")
    ((accounts,),) = rows(database, "SELECT COUNT(*) FROM custody_account WHERE group_no = 1")
    assert (keys, accounts) == (2, 4)


def test_the_reader_that_derives_still_answers_what_the_other_has_read(
    service: WalletService, database: Database
) -> None:
    # Both read one partition: a fence of the first would hide the record from the second.
    at(service, LONG_AGO).create_group(0)
    service.make_asked([request(5, 1)])
    assert service.consume([request(5, 1)]) == 1
    (told,) = outbox(database, "wallet.addresses")
    assert told["group"] == 1


def test_a_group_ahead_is_made_before_its_first_wallet_is_asked_for(
    service: WalletService, database: Database
) -> None:
    at(service, LONG_AGO).create_group(0)
    assert service.make_asked([request(1, 0)]) == [1]
    assert service.consume([request(2, 1)]) == 1


def test_a_request_out_of_turn_makes_nothing_and_keeps_what_was_made_before_it(
    service: WalletService, database: Database
) -> None:
    with pytest.raises(GroupOutOfTurn):
        service.make_asked([request(1, 0)])
    at(service, LONG_AGO).create_group(0)
    with pytest.raises(GroupOutOfTurn):
        service.make_asked([request(1, 0), request(2, 3)])
    assert groups(database) == [0, 1]


def test_a_group_that_exists_is_left_as_it_is(service: WalletService, database: Database) -> None:
    service.create_group(0)
    service.create_group(1)
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM group_chain_key WHERE group_no = 0")
        cursor.execute("UPDATE wallet_group SET seed_ciphertext = 'opens nothing'")

    assert service.make_asked([request(1, 0)]) == []
    assert rows(database, "SELECT * FROM group_chain_key WHERE group_no = 0") == []


def test_requests_make_at_most_six_groups_an_hour(
    service: WalletService, database: Database
) -> None:
    at(service, LONG_AGO).create_group(0)
    for number in range(MADE_MAX):
        service.make_asked([request(number, number)])
    assert groups(database) == list(range(MADE_MAX + 1))

    # The group ahead waits for a later request; only one that needs it now is refused.
    assert service.make_asked([request(20, MADE_MAX)]) == []
    with pytest.raises(GroupsMadeTooFast):
        service.make_asked([request(21, MADE_MAX + 1)])
    later = at(service, NOW + MADE_WITHIN)
    assert later.make_asked([request(21, MADE_MAX + 1)]) == [MADE_MAX + 1, MADE_MAX + 2]


def test_a_missing_custody_row_is_told_while_the_group_before_still_has_wallets(
    service: WalletService, database: Database
) -> None:
    narrow = replace(service, custody=FIRST_ONLY)
    at(narrow, LONG_AGO).create_group(0)
    assert narrow.make_asked([request(1, 0)]) == [1]
    with pytest.raises(GroupWithoutCustody):
        narrow.make_asked([request(2, 1)])
    assert narrow.consume([request(2, 1)]) == 1


def test_a_malformed_request_makes_no_group(service: WalletService, database: Database) -> None:
    service.create_group(0)
    bad = Record("wallet.requests", 0, 1, b"0", b'{"v":1}')
    with pytest.raises(MalformedRequest):
        service.make_asked([bad, request(2, 1)])
    assert groups(database) == [0]
