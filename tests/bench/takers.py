"""Takes wallets of a running stack in bulk, as billing takes one for an invoice
(docs/decisions/0042): the same statements under the same rights, with a larger limit.
"""

import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby

from infra.local import Stack
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig

BATCH = 1_000
Place = tuple[int, int]


def take_all(stack: Stack, groups: range, takers: int) -> Sequence[Sequence[Place]]:
    """Every free wallet of the groups, taken by `takers` at the same time: what each one got."""
    with ThreadPoolExecutor(takers) as pool:
        return list(pool.map(lambda _: taken_by_one(stack, groups), range(takers)))


def taken_by_one(stack: Stack, groups: range) -> Sequence[Place]:
    """Batch after batch, each a transaction, until nothing is free that nobody else is taking."""
    merchant = secrets.token_bytes(16)
    taken: list[Place] = []
    with _billing(stack) as database:
        while True:
            places = database.run(lambda cursor: _take(cursor, merchant, groups))
            if not places:
                return taken
            taken.extend(places)


def _take(cursor: Cursor, merchant: bytes, groups: range) -> Sequence[Place]:
    cursor.execute(
        "SELECT group_no, wallet_index FROM orion_moneyin.wallet WHERE state = 'free'"
        " AND group_no >= %s AND group_no < %s"
        " ORDER BY group_no, wallet_index LIMIT %s FOR UPDATE SKIP LOCKED",
        (groups.start, groups.stop, BATCH),
    )
    places = [(int(group_no), int(index)) for group_no, index in cursor.fetchall()]
    for group_no, rows in groupby(places, key=lambda place: place[0]):
        indexes = [index for _, index in rows]
        marks = ",".join(["%s"] * len(indexes))
        cursor.execute(
            "UPDATE orion_moneyin.wallet SET state = 'assigned', merchant_id = %s,"
            " invoice_id = UNHEX(MD5(CONCAT(group_no, '-', wallet_index))),"
            f" assigned_at = NOW(6) WHERE group_no = %s AND wallet_index IN ({marks})",
            (merchant, group_no, *indexes),
        )
    return places


@contextmanager
def _billing(stack: Stack) -> Iterator[Database]:
    login = stack.mariadb.credentials("billing")
    database = Database(
        MySqlConfig(
            host=stack.mariadb.host,
            port=stack.mariadb.port,
            user=login.username,
            password=login.password,
            schema="orion_billing",
            ca_pem=stack.mariadb.ca_pem,
        )
    )
    try:
        yield database
    finally:
        database.close()
