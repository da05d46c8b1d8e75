"""Deposits, custody accounts and a run of the reconciliation in a real database, and the nodes'
agents as seen from there: whoever has their key.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from infra.local.mariadb import MariaDb
from node_stacks.agent.commands.answer_key import answer_key
from orion.adapters.mysql.balance_store import MySqlBalanceStore
from orion.adapters.mysql.node_commands import MySqlAnswerStore
from orion.adapters.mysql.reconciliation_runs import MySqlRunStore
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.ids import fact_id
from orion.log.balances.service import BalanceCheck, State
from orion.log.node_commands.service import NodeAnswers, Taken
from orion.log.reconciliation.model import Run
from orion.log.reconciliation.planning import Scope
from orion.records import Record

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
TRACE = "ab" * 16
USDT = "0x" + "11" * 20
FINALS = {"bitcoin": 3, "ethereum": 5, "tron": 20}
_EMPTIED = {
    "orion_log": (
        "node_command", "balance_check", "outbox", "consumer_offset", "run", "checked",
        "difference", "difference_count", "incident",
    ),
    "orion_moneyin": ("deposit", "chain_head", "chain_cursor", "chain_block"),
    "orion_ledger": ("account", "leg", "transfer", "asset_freeze"),
}  # fmt: skip


class IssuerKey:
    """The issuer's key, held by the test instead of KMS."""

    def __init__(self) -> None:
        self._key = generate_private_key(SECP256R1())

    def sign(self, digest: bytes) -> bytes:
        return self._key.sign(digest, ECDSA(Prehashed(SHA256())))

    def verify(self, body: dict[str, Any]) -> None:
        """Raise unless this key signed the command."""
        signature = base64.b64decode(body["signature"])
        unsigned = {name: value for name, value in body.items() if name != "signature"}
        text = json.dumps(unsigned, sort_keys=True, separators=(",", ":"))
        key: EllipticCurvePublicKey = self._key.public_key()
        key.verify(signature, text.encode(), ECDSA(SHA256()))


class Books:
    """What the check reads and writes. `log` is its own user, with that user's rights."""

    def __init__(self, mysql: MariaDb, folder: Path) -> None:
        login = mysql.credentials("log")
        self.admin = mysql.connect()
        self.admin.autocommit(True)
        for schema, tables in _EMPTIED.items():
            for table in tables:
                self.do(f"DELETE FROM {schema}.{table}")
        self.log = Database(
            MySqlConfig(
                mysql.host, mysql.port, login.username, login.password, "orion_log", mysql.ca_pem
            )
        )
        self.issuer = IssuerKey()
        self.agents = {node: answer_key(folder / node) for node in ("bitcoin-1", "ethereum-1")}
        self.runs = MySqlRunStore(self.log)
        self.store = MySqlBalanceStore(self.log)
        self.check = BalanceCheck(self.store, self.issuer, self.runs, FINALS)
        self.answers = NodeAnswers(MySqlAnswerStore(self.log), self._key_of)
        self.offset = 0
        self.deposits = 0

    def close(self) -> None:
        self.log.close()
        self.admin.close()

    def _key_of(self, node: str) -> str | None:
        found = self.agents.get(node)
        return found.public_text if found else None

    def do(self, sql: str, *values: object) -> None:
        with self.admin.cursor() as cursor:
            cursor.execute(sql, values)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What the block does in one transaction: many rows, one write to the disk."""
        self.admin.begin()
        yield
        self.admin.commit()

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self.admin.cursor() as cursor:
            cursor.execute(sql, values)
            return [tuple(row) for row in cursor.fetchall()]

    def chain(self, chain: str, tip: int) -> None:
        """A chain as moneyin has followed it; block n is called `<chain>-n`."""
        node = f"{chain}-1"
        self.do("INSERT INTO orion_moneyin.chain_head VALUES (%s, %s)", chain, node)
        for height in range(max(0, tip - 30), tip + 1):
            self.do(
                "INSERT INTO orion_moneyin.chain_block VALUES (%s, %s, %s, %s, '')",
                chain, node, height, f"{chain}-{height}",
            )  # fmt: skip
        self.do(
            "INSERT INTO orion_moneyin.chain_cursor VALUES (%s, %s, %s, %s, NULL)",
            chain, node, tip, f"{chain}-{tip}",
        )  # fmt: skip

    def deposit(self, asset: str, units: int, height: int, **changed: Any) -> bytes:
        """A deposit; its credit's id. `wallet` is its group and index."""
        self.deposits += 1
        chain = asset.partition(".")[2]
        group, index = changed.get("wallet", (0, self.deposits))
        txid = changed.get("txid", f"{self.deposits:064x}")
        position = "out:0" if chain == "bitcoin" else "log:0"
        self.do(
            "INSERT INTO orion_moneyin.deposit (deposit_id, chain, asset, units, txid, tx_position,"
            " contract, address, group_no, wallet_index, state, held_for, height, block_hash,"
            " block_time, confirmations_settled, confirmations_final, settled_height, final_height,"
            " credit_epoch, version, created_at, updated_at) VALUES"
            " (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, 2, 3, 0, 0, 0, 1,"
            " UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
            fact_id("deposit", chain, txid, position), chain, asset, str(units), txid, position,
            USDT if asset.startswith("USDT") else None, changed.get("address", f"a{group}-{index}"),
            group, index, changed.get("state", "final"), changed.get("held_for"), height,
            f"{chain}-{height}",
        )  # fmt: skip
        return fact_id("deposit_credit", chain, txid, position, 0)

    def custody(self, asset: str, debits: int, credits: int = 0) -> None:  # noqa: A002
        owner = f"system:{asset.partition('.')[2]}"
        self.do(
            "INSERT INTO orion_ledger.account VALUES (%s, %s, 'custody', %s, 0, %s, 0, %s, 0,"
            " UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
            fact_id("account", owner, "custody", asset), owner, asset, debits, credits,
        )  # fmt: skip

    def leg(self, asset: str, units: int, *, side: str = "debit", applied: bool = False) -> None:
        number = len(self.ask("SELECT 1 FROM orion_ledger.leg")) + 1
        owner = f"system:{asset.partition('.')[2]}"
        self.do(
            "INSERT INTO orion_ledger.leg (id, digest, from_shard, leg_number, account, bucket,"
            " asset, side, units, sent_at, applied_at) VALUES (%s, %s, 0, %s, %s, 0, %s, %s, %s,"
            " UTC_TIMESTAMP(6), IF(%s, UTC_TIMESTAMP(6), NULL))",
            fact_id("leg", 0, number), bytes(16), number,
            fact_id("account", owner, "custody", asset), asset, side, units, applied,
        )  # fmt: skip

    def posted(self, transfer: bytes) -> None:
        number = len(self.ask("SELECT 1 FROM orion_ledger.transfer")) + 1
        self.do(
            "INSERT INTO orion_ledger.transfer (shard_no, number, position, id, digest, kind, code,"
            " linked, debit_account, credit_account, units, cause, trace_id, posted_at) VALUES"
            " (0, %s, 0, %s, %s, 'direct', 'deposit_credit', 0, %s, %s, 1, '{}', %s,"
            " UTC_TIMESTAMP(6))",
            number, transfer, transfer, transfer, transfer, transfer,
        )  # fmt: skip

    def run(self, name: str = "run-1") -> Run:
        return self.runs.begin(name, Scope.RECENT, bytes.fromhex(TRACE), NOW)

    def round(self, run: Run, after_s: float = 0, *, last: bool = False) -> State:
        return self.check.round(run.id, TRACE, NOW + timedelta(seconds=after_s), last=last)

    def commands(self) -> list[dict[str, Any]]:
        """What the relay would send, each signed by the issuer, in order."""
        found = []
        for destination, key, payload in self.ask(
            "SELECT destination, partition_key, payload FROM orion_log.outbox"
            " WHERE destination <> 'kafka:audit.events' ORDER BY seq"
        ):
            body = json.loads(payload)
            assert (destination, key) == ("kafka:node.commands", body["node"].encode())
            self.issuer.verify(body)
            found.append(body)
        return found

    def answer(
        self,
        command: Mapping[str, Any],
        units: Callable[[Mapping[str, Any]], int | None],
        after_s: float = 1,
        **changed: Any,
    ) -> Taken:
        """What an agent whose chain holds `units(item)` answers."""
        height = command["arguments"]["height"]
        told = [units(item) for item in command["arguments"]["items"]]
        body: dict[str, object] = {
            "v": 1,
            "trace_id": command["trace_id"],
            "kind": "answer",
            "command_id": command["command_id"],
            "chain": command["chain"],
            "node": command["node"],
            "outcome": "done",
            "reason": None,
            "result": {
                "height": height,
                "hash": f"{command['chain']}-{height}",
                "units": [None if each is None else str(each) for each in told],
            },
            "answered_at": "2026-11-23T10:00:01.000Z",
        } | changed
        return self.take([self.agents[str(command["node"])].signed(body)], after_s)

    def take(self, values: Sequence[bytes], after_s: float = 1) -> Taken:
        records = []
        for value in values:
            records.append(Record("node.answers", 0, self.offset, b"n", value))
            self.offset += 1
        return self.answers.take(records, NOW + timedelta(seconds=after_s))

    def found(self) -> list[tuple[str, str, str]]:
        """The differences of all runs: kind, book, asset."""
        return [
            (str(kind), str(wrong), str(asset))
            for kind, wrong, asset in self.ask(
                "SELECT kind, wrong, asset FROM orion_log.difference ORDER BY asset, kind, seq"
            )
        ]
