"""What the signers read and remember in the schema `orion_kms`."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import pymysql

from orion.adapters.mysql import outbox
from orion.adapters.mysql.kms_accounts import ACCOUNT, account_row, set_keys
from orion.adapters.mysql.session import Cursor, Database
from orion.chains.spend import CustodyAccount, CustodyKeys, WalletKind
from orion.kms.groups import CustodySet
from orion.kms.model import Message, SealedSeed
from orion.kms.signing.errors import (
    CustodySetDiffers,
    KeyInTwoPlaces,
    RefillDiffers,
)
from orion.kms.signing.model import AccountRow, ExportRequest, Refill, Reservation, SlotState
from orion.kms.signing.policy import committed_after, committed_after_refill

_REGISTER_ATTEMPTS = 3


class MySqlWalletStore:
    """`WalletStore`, and `HandoverStore` where the key is Tron's naming key: one chain and one
    kind of key, whatever is asked.
    """

    def __init__(self, database: Database, chain: str, network: str, key_name: str) -> None:
        self._database = database
        self._chain = chain
        self._networks = {chain: network}
        self._key_name = key_name

    def chain_key(self, group_no: int) -> SealedSeed | None:
        """As the port says."""

        def work(cursor: Cursor) -> SealedSeed | None:
            cursor.execute(
                "SELECT ciphertext, key_arn FROM group_chain_key"
                " WHERE group_no = %s AND chain = %s",
                (group_no, self._key_name),
            )
            row = cursor.fetchone()
            return SealedSeed(*row) if row is not None else None

        return self._database.run(work)

    def destinations(self, group_no: int) -> Sequence[AccountRow]:
        """As the port says."""

        def work(cursor: Cursor) -> Sequence[AccountRow]:
            cursor.execute(
                f"{ACCOUNT} WHERE a.group_no = %s AND a.chain = %s AND a.set_no = g.set_no",
                (group_no, self._chain),
            )
            return [account_row(row, self._networks) for row in cursor.fetchall()]

        return self._database.run(work)

    def account(self, group_no: int, kind: WalletKind) -> CustodyAccount | None:
        """As the port says."""

        def work(cursor: Cursor) -> CustodyAccount | None:
            cursor.execute(
                f"{ACCOUNT} WHERE a.group_no = %s AND a.kind = %s AND a.chain = %s"
                " AND a.set_no = g.set_no",
                (group_no, kind.value, self._chain),
            )
            row = cursor.fetchone()
            return account_row(row, self._networks).account if row is not None else None

        return self._database.run(work)

    def tell(self, message: Message, now: datetime) -> None:
        """As the port says."""
        self._database.run(lambda cursor: outbox.append(cursor, [_outbox(message)], now))


class MySqlFloatStore:
    """`FloatStore`. A signer's reservations and refills wait for each other at its row of
    `signer_float`.
    """

    def __init__(self, database: Database, chain: str, network: str) -> None:
        self._database = database
        self._chain = chain
        self._networks = {chain: network}

    def accounts(self, groups: Sequence[int]) -> Sequence[CustodyAccount]:
        """As the port says."""

        def work(cursor: Cursor) -> Sequence[CustodyAccount]:
            marks = ",".join(["%s"] * len(groups))
            cursor.execute(
                f"{ACCOUNT} WHERE a.chain = %s AND a.group_no IN ({marks})"
                " ORDER BY a.group_no, a.kind, a.set_no",
                (self._chain, *groups),
            )
            return [account_row(row, self._networks).account for row in cursor.fetchall()]

        return self._database.run(work)

    def reserve(self, wanted: Reservation, cap_units: int, now: datetime) -> bytes | None:
        """As the port says."""

        def work(cursor: Cursor) -> bytes | None:
            committed = _locked_float(cursor, wanted.signer)
            slot = _slot(cursor, wanted)
            after = committed_after(wanted, slot, committed, cap_units)
            cursor.execute(
                "SELECT signature FROM signer_version"
                " WHERE signer = %s AND slot = %s AND version = %s",
                (wanted.signer, wanted.slot, wanted.version),
            )
            row = cursor.fetchone()
            if row is not None:
                signature: bytes | None = row[0]
                return signature
            _write_reservation(cursor, wanted, now)
            _write_float(cursor, wanted.signer, after)
            return None

        return self._database.run(work)

    def keep(self, wanted: Reservation, signature: bytes, signed: Message, now: datetime) -> bytes:
        """As the port says."""

        def work(cursor: Cursor) -> bytes:
            place = (wanted.signer, wanted.slot, wanted.version)
            stored = cursor.execute(
                "UPDATE signer_version SET signature = %s, signed_at = %s"
                " WHERE signer = %s AND slot = %s AND version = %s AND signature IS NULL",
                (signature, now.replace(tzinfo=None), *place),
            )
            if stored:
                outbox.append(cursor, [_outbox(signed)], now)
            cursor.execute(
                "SELECT signature FROM signer_version"
                " WHERE signer = %s AND slot = %s AND version = %s",
                place,
            )
            row = cursor.fetchone()
            if row is None or row[0] is None:
                raise RuntimeError("a signature for which nothing was reserved")
            kept: bytes = row[0]
            return kept

        return self._database.run(work)

    def refilled(self, signer: str, refill: Refill, told: Message, now: datetime) -> int:
        """As the port says."""

        def work(cursor: Cursor) -> int:
            committed = _locked_float(cursor, signer)
            cursor.execute(
                "SELECT units FROM signer_refill WHERE signer = %s AND refill_id = %s",
                (signer, refill.refill_id),
            )
            row = cursor.fetchone()
            if row is not None:
                if int(row[0]) != refill.units:
                    raise RefillDiffers("recorded with other units", id=refill.refill_id)
                return committed
            cursor.execute(
                "INSERT INTO signer_refill (signer, refill_id, units, created_at)"
                " VALUES (%s, %s, %s, %s)",
                (signer, refill.refill_id, refill.units, now.replace(tzinfo=None)),
            )
            after = committed_after_refill(committed, refill.units)
            _write_float(cursor, signer, after)
            outbox.append(cursor, [_outbox(told)], now)
            return after

        return self._database.run(work)


class MySqlSetKeys:
    """Registered custody sets, one at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys_of(self, set_no: int, purpose: WalletKind) -> CustodyKeys | None:
        """The keys of the set, None where it is not registered for `purpose`. Raises
        DatabaseUnavailable.
        """

        def work(cursor: Cursor) -> CustodyKeys | None:
            cursor.execute(
                "SELECT secp256k1, ed25519 FROM custody_set WHERE set_no = %s AND purpose = %s",
                (set_no, purpose.value),
            )
            row = cursor.fetchone()
            return set_keys(*row) if row is not None else None

        return self._database.run(work)


class MySqlSetStore:
    """`SetStore`; `networks` by chain as the stage has them."""

    def __init__(self, database: Database, networks: Mapping[str, str]) -> None:
        self._database = database
        self._networks = networks

    def known_set(self, set_no: int) -> CustodySet | None:
        """As the port says."""

        def work(cursor: Cursor) -> CustodySet | None:
            cursor.execute(
                "SELECT purpose, secp256k1, ed25519 FROM custody_set WHERE set_no = %s", (set_no,)
            )
            row = cursor.fetchone()
            if row is None:
                return None
            return CustodySet(set_no, WalletKind(row[0]), set_keys(row[1], row[2]))

        return self._database.run(work)

    def add_set(self, wanted: CustodySet, registered: Message, now: datetime) -> bool:
        """As the port says. Unique keys decide a race; the loser looks again and finds the row."""
        for attempt in range(1, _REGISTER_ATTEMPTS + 1):
            try:
                return self._database.run(lambda cursor: _register(cursor, wanted, registered, now))
            except pymysql.err.IntegrityError:
                if attempt == _REGISTER_ATTEMPTS:
                    raise
        raise ValueError("at least one attempt")

    def page(self, wanted: ExportRequest) -> Sequence[AccountRow]:
        """As the port says."""
        after = wanted.after
        first, beyond, values = wanted.first_group, "", []
        if after is not None:
            first = max(first, after.group_no)
            beyond = " AND (a.group_no, a.kind, a.chain, a.set_no) > (%s, %s, %s, %s)"
            values = [after.group_no, after.kind, after.chain, after.set_no]

        def work(cursor: Cursor) -> Sequence[AccountRow]:
            cursor.execute(
                f"{ACCOUNT} WHERE a.group_no BETWEEN %s AND %s{beyond}"
                " ORDER BY a.group_no, a.kind, a.chain, a.set_no LIMIT %s",
                (first, wanted.last_group, *values, wanted.limit),
            )
            return [account_row(row, self._networks) for row in cursor.fetchall()]

        return self._database.run(work)


def _locked_float(cursor: Cursor, signer: str) -> int:
    """What the signer has committed; its row stays locked until the transaction ends."""
    cursor.execute(
        "INSERT INTO signer_float (signer, committed_units) VALUES (%s, 0)"
        " ON DUPLICATE KEY UPDATE committed_units = committed_units",
        (signer,),
    )
    cursor.execute(
        "SELECT committed_units FROM signer_float WHERE signer = %s FOR UPDATE", (signer,)
    )
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("a float vanished inside the transaction that locked it")
    return int(row[0])


def _slot(cursor: Cursor, wanted: Reservation) -> SlotState | None:
    cursor.execute(
        "SELECT body_digest, fee_max_units FROM signer_slot WHERE signer = %s AND slot = %s",
        (wanted.signer, wanted.slot),
    )
    row = cursor.fetchone()
    return SlotState(row[0], int(row[1])) if row is not None else None


def _write_reservation(cursor: Cursor, wanted: Reservation, now: datetime) -> None:
    at = now.replace(tzinfo=None)
    cursor.execute(
        "INSERT INTO signer_slot (signer, slot, body_digest, fee_max_units, created_at)"
        " VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
        " fee_max_units = GREATEST(fee_max_units, VALUES(fee_max_units))",
        (wanted.signer, wanted.slot, wanted.body_digest, wanted.fee_max_units, at),
    )
    cursor.execute(
        "INSERT INTO signer_version (signer, slot, version, fee_max_units, created_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        (wanted.signer, wanted.slot, wanted.version, wanted.fee_max_units, at),
    )


def _write_float(cursor: Cursor, signer: str, committed_units: int) -> None:
    cursor.execute(
        "UPDATE signer_float SET committed_units = %s WHERE signer = %s", (committed_units, signer)
    )


def _register(cursor: Cursor, wanted: CustodySet, registered: Message, now: datetime) -> bool:
    secp256k1, ed25519 = b"".join(wanted.keys.secp256k1), b"".join(wanted.keys.ed25519)
    cursor.execute(
        "SELECT purpose, secp256k1, ed25519 FROM custody_set WHERE set_no = %s", (wanted.set_no,)
    )
    stored = cursor.fetchone()
    if stored is not None:
        if stored != (wanted.purpose.value, secp256k1, ed25519):
            raise CustodySetDiffers("the set is registered otherwise", set=wanted.set_no)
        return False
    _refuse_known_keys(cursor, wanted)
    cursor.execute(
        "INSERT INTO custody_set (set_no, purpose, secp256k1, ed25519, created_at)"
        " VALUES (%s, %s, %s, %s, %s)",
        (wanted.set_no, wanted.purpose.value, secp256k1, ed25519, now.replace(tzinfo=None)),
    )
    cursor.executemany(
        "INSERT INTO custody_key (public_key, set_no, custodian) VALUES (%s, %s, %s)",
        [
            (key, wanted.set_no, custodian)
            for keys in (wanted.keys.secp256k1, wanted.keys.ed25519)
            for custodian, key in enumerate(keys, start=1)
        ],
    )
    outbox.append(cursor, [_outbox(registered)], now)
    return True


def _refuse_known_keys(cursor: Cursor, wanted: CustodySet) -> None:
    keys = (*wanted.keys.secp256k1, *wanted.keys.ed25519)
    marks = ",".join(["%s"] * len(keys))
    cursor.execute(
        # The same set may have been registered by another call since it was looked for above: its
        # own keys are no conflict, and storing it then meets its row.
        f"SELECT set_no, custodian FROM custody_key WHERE public_key IN ({marks})"  # noqa: S608
        " AND set_no <> %s ORDER BY set_no, custodian LIMIT 1",
        (*keys, wanted.set_no),
    )
    row = cursor.fetchone()
    if row is not None:
        raise KeyInTwoPlaces(
            "a key of this set belongs to another one",
            set=wanted.set_no,
            place=f"set {row[0]}, custodian {row[1]}",
        )


def _outbox(message: Message) -> outbox.OutboxRow:
    return outbox.kafka_row(message.topic, message.key, message.body, message.event_id)
