"""Custody accounts in the schema `orion_kms`: read with their sets, and marked as seen."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from orion.adapters.mysql import outbox
from orion.adapters.mysql.session import Cursor, Database
from orion.chains.errors import UnknownNetwork
from orion.chains.spend import CustodyAccount, CustodyKeys, CustodyPlace, WalletKind
from orion.kms.model import Message
from orion.kms.signing.errors import AccountDiffers
from orion.kms.signing.model import AccountRow

ACCOUNT = (
    "SELECT a.group_no, a.kind, a.chain, a.set_no, a.anchor, a.address, s.purpose, s.secp256k1,"
    " s.ed25519, g.set_no, a.created_at, a.on_chain_at FROM custody_account a"
    " LEFT JOIN custody_set s ON s.set_no = a.set_no"
    " LEFT JOIN group_custody g ON g.group_no = a.group_no AND g.kind = a.kind"
)
_AT_ADDRESS_MAX = 50


class MySqlSeenStore:
    """`SeenStore`; `networks` by chain as the stage has them."""

    def __init__(self, database: Database, networks: Mapping[str, str]) -> None:
        self._database = database
        self._networks = networks

    def at_address(self, chain: str, address: str) -> Sequence[AccountRow]:
        """As the port says."""

        def work(cursor: Cursor) -> Sequence[AccountRow]:
            cursor.execute(
                f"{ACCOUNT} WHERE a.chain = %s AND a.address = %s"
                " ORDER BY a.group_no, a.kind, a.set_no LIMIT %s",
                (chain, address, _AT_ADDRESS_MAX),
            )
            return [account_row(row, self._networks) for row in cursor.fetchall()]

        return self._database.run(work)

    def mark(self, place: CustodyPlace, told: Message, now: datetime) -> bool:
        """As the port says."""

        def work(cursor: Cursor) -> bool:
            marked = cursor.execute(
                "UPDATE custody_account SET on_chain_at = %s WHERE group_no = %s AND kind = %s"
                " AND chain = %s AND set_no = %s AND on_chain_at IS NULL",
                (
                    now.replace(tzinfo=None),
                    place.group_no,
                    place.kind.value,
                    place.chain,
                    place.set_no,
                ),
            )
            if marked:
                outbox.append(
                    cursor,
                    [outbox.kafka_row(told.topic, told.key, told.body, told.event_id)],
                    now,
                )
            return bool(marked)

        return self._database.run(work)


def account_row(row: Sequence[Any], networks: Mapping[str, str]) -> AccountRow:
    """One row of `ACCOUNT`. Raises AccountDiffers where its set is not one of its kind,
    UnknownNetwork where the stage has not its chain.
    """
    group_no, kind, chain, set_no, anchor, address, purpose, secp256k1, ed25519 = row[:9]
    holding_set_no, created_at, on_chain_at = row[9:]
    if purpose != kind:
        raise AccountDiffers(
            "the account's set is not registered for this kind of wallet",
            group=group_no,
            wallet=kind,
            chain=chain,
            set=set_no,
        )
    network = networks.get(chain)
    if network is None:
        raise UnknownNetwork("the stage has no network of this chain", chain=chain)
    place = CustodyPlace(chain, network, group_no, WalletKind(kind), set_no)
    account = CustodyAccount(place, set_keys(secp256k1, ed25519), anchor, address)
    return AccountRow(
        account,
        holding_set_no,
        created_at.replace(tzinfo=UTC).isoformat(),
        on_chain_at.replace(tzinfo=UTC).isoformat() if on_chain_at is not None else None,
    )


def set_keys(secp256k1: bytes, ed25519: bytes) -> CustodyKeys:
    """The five keys of each curve, as a set's row holds them."""
    return CustodyKeys(
        tuple(secp256k1[start : start + 33] for start in range(0, len(secp256k1), 33)),
        tuple(ed25519[start : start + 32] for start in range(0, len(ed25519), 32)),
    )
