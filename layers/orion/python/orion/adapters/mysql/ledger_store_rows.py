"""The ledger's rows and records as text: what a batch of thousands writes, without a driver's
quoting (docs/ledger.md, "Physical design").

Only whole numbers, hexadecimal digits, words of closed sets, checked owners, moments and, escaped,
canonical JSON stand in these statements.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orion.ledger.codes import Code, Kind
from orion.ledger.model import AccountKey, Counters, Entry, Leg, Pending, Refusal, bucket
from orion.ledger.transfer_record import VERSION, refusal_body, rfc3339
from orion.records import canonical_json

MAX_NAMES = 100_000
# A member's own `value` is looked up in Python.
_WORDS = {code: code.value for code in Code}
_PLAIN = (
    "INSERT INTO transfer (shard_no, number, position, id, digest, code, debit_account,"
    " credit_account, units, cause, trace_id, posted_at) VALUES "
)
_FULL = (
    "INSERT INTO transfer (shard_no, number, position, id, digest, code, debit_account,"
    " credit_account, units, cause, trace_id, posted_at, kind, linked, pending_id, counterpart)"
    " VALUES "
)
_OWE = "INSERT INTO outbox (event_id, destination, partition_key, payload, created_at) VALUES "
_REFUSE = (
    "INSERT INTO refusal (shard_no, number, position, id, digest, reason, content, trace_id,"
    " refused_at) VALUES "
)
_OPEN_ACCOUNTS = (
    "INSERT INTO account (id, owner, purpose, asset, bucket, debits_posted, debits_pending,"
    " credits_posted, credits_pending, created_at, updated_at) VALUES "
)
_MOVE_ACCOUNTS = (
    "INSERT INTO account (id, debits_posted, debits_pending, credits_posted, credits_pending)"
    " VALUES "
)
_PENDING = (
    "INSERT INTO pending (id, shard_no, bucket, code, asset, debit_owner, debit_purpose,"
    " credit_owner, credit_purpose, units, state, signed, opened_at, changed_at) VALUES "
)
_LEGS = (
    "INSERT INTO leg (id, digest, from_shard, leg_number, account, bucket, asset, side, units,"
    " sent_at) VALUES "
)


def sql_moment(moment: datetime) -> str:
    """UTC with microseconds, as a DATETIME(6) is written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def literal(text: str) -> str:
    """`text` between the quotes of an SQL string, under every sql_mode of ours."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return text.replace("'", "\\'") if "'" in text else text


def listed(identities: Iterable[bytes]) -> str:
    """The inside of `IN (…)`."""
    return ",".join(f"x'{identity.hex()}'" for identity in identities)


class Names:
    """An account as rows and records name it, worked out once while it is remembered."""

    def __init__(self) -> None:
        # By account id: for loops that look here before they call.
        self.known: dict[bytes, tuple[str, str]] = {}

    def of(self, key: AccountKey) -> tuple[str, str]:
        """The id as an SQL literal, and `{"owner":…,"purpose":…}`."""
        found = self.known.get(key.id)
        if found is None:
            if len(self.known) >= MAX_NAMES:
                self.known.clear()
            found = (
                f"x'{key.id.hex()}'",
                f'{{"owner":"{key.owner}","purpose":"{key.purpose.value}"}}',
            )
            self.known[key.id] = found
        return found


@dataclass(frozen=True, slots=True)
class PostedRecord:
    """One record of `ledger.posted`: its rows of the log, and its bytes for the outbox."""

    number: int
    plain: bool
    rows: str
    payload: str


def posted_record(
    shard: int, number: int, entries: Sequence[Entry], at: datetime, names: Names
) -> PostedRecord:
    """`entries` under `number`. The payload equals `canonical_json` of their `posted_body`."""
    plain = all(
        meant is None and transfer.kind is Kind.DIRECT and not transfer.linked
        for transfer, _, meant in entries
    )
    head, sql_at = f"({shard},{number},", sql_moment(at)
    rows: list[str] = []
    told: list[str] = []
    known, name = names.known.get, names.of
    more, meant_told, kind_told, linked_told, pending_told = "", "", "direct", "false", ""
    # Most entries have the record's trace.
    first_trace = last_trace = entries[0].transfer.trace_id
    first_hex = trace_hex = first_trace.hex()
    trace_told = ""
    for position, (transfer, digest, meant) in enumerate(entries):
        identity, kind, code, units, debit, credit, cause, trace, linked, pending = transfer
        debit_id, debit_told = known(debit.id) or name(debit)
        credit_id, credit_told = known(credit.id) or name(credit)
        id_hex, digest_hex, word, text = identity.hex(), digest.hex(), _WORDS[code], cause.decode()
        if trace != last_trace:
            last_trace, trace_hex = trace, trace.hex()
            trace_told = "" if trace == first_trace else f',"trace_id":"{trace_hex}"'
        quoted = literal(text) if "'" in text or "\\" in text else text
        if not plain:
            kind_told = kind.value
            pending_id = "NULL" if pending is None else f"x'{pending.hex()}'"
            meant_id, meant_told = "NULL", ""
            if meant is not None:
                meant_id, body = name(meant)
                meant_told = f',"counterpart":{body}'
            more = f",'{kind_told}',{int(linked)},{pending_id},{meant_id}"
            linked_told = "true" if linked else "false"
            pending_told = "" if pending is None else f',"pending_id":"{pending.hex()}"'
        rows.append(
            f"{head}{position},x'{id_hex}',x'{digest_hex}','{word}',{debit_id},{credit_id},{units},"
            f"'{quoted}',x'{trace_hex}','{sql_at}'{more})"
        )
        told.append(
            f'{{"asset":"{debit.asset}","cause":{text},"code":"{word}"{meant_told}'
            f',"credit":{credit_told},"debit":{debit_told},"digest":"{digest_hex}"'
            f',"id":"{id_hex}","kind":"{kind_told}","linked":{linked_told}{pending_told}'
            f'{trace_told},"units":"{units}"}}'
        )
    payload = (
        f'{{"number":{number},"posted_at":"{rfc3339(at)}","shard":{shard},"trace_id":"{first_hex}"'
        f',"transfers":[{",".join(told)}],"v":{VERSION}}}'
    )
    return PostedRecord(number, plain, ",".join(rows), payload)


def log_statement(records: Sequence[PostedRecord]) -> str:
    """Insert the transfers of `records`, all of which are plain or all of which are not."""
    start = _PLAIN if records[0].plain else _FULL
    return start + ",".join(record.rows for record in records)


@dataclass(frozen=True, slots=True)
class Owed:
    """A row of the outbox for a topic of the ledger."""

    event_id: bytes
    topic: str
    key: str
    payload: str


def outbox_statement(rows: Sequence[Owed], at: datetime) -> str:
    """Owe `rows`. Their numbers are given once, so that one which is owed already is a fault."""
    moment = sql_moment(at)
    return _OWE + ",".join(
        f"(x'{row.event_id.hex()}','kafka:{row.topic}','{row.key}',_binary'{literal(row.payload)}',"
        f"'{moment}')"
        for row in rows
    )


def refusal_statement(shard: int, number: int, refusals: Sequence[Refusal], at: datetime) -> str:
    """Record `refusals` under one number."""
    moment = sql_moment(at)
    return _REFUSE + ",".join(
        f"({shard},{number},{position},x'{transfer.id.hex()}',x'{digest.hex()}','{reason.value}',"
        f"x'{canonical_json(transfer.content()).hex()}',x'{transfer.trace_id.hex()}','{moment}')"
        for position, (transfer, digest, reason) in enumerate(refusals)
    )


def refused_payload(shard: int, number: int, refusals: Sequence[Refusal]) -> str:
    """One record of `ledger.refused`."""
    body = {
        "v": VERSION,
        "trace_id": refusals[0].transfer.trace_id.hex(),
        "shard": shard,
        "number": number,
        "refused": [refusal_body(refusal) for refusal in refusals],
    }
    return canonical_json(body).decode()


AccountRow = tuple[bytes, AccountKey, Counters]
"""An account's id, its key and its counters."""


def open_accounts_statement(accounts: Sequence[AccountRow], at: datetime) -> str:
    """Make accounts that nobody has seen before."""
    moment = sql_moment(at)
    return _OPEN_ACCOUNTS + ",".join(
        f"(x'{identity.hex()}','{key.owner}','{key.purpose.value}','{key.asset}'"
        f",{bucket(key.owner)},{held[0]},{held[1]},{held[2]},{held[3]},'{moment}','{moment}')"
        for identity, key, held in accounts
    )


def move_accounts_statement(accounts: Sequence[AccountRow], at: datetime) -> str:
    """Move counters of accounts that exist: two affected rows each, one would be a new account."""
    return (
        _MOVE_ACCOUNTS
        + ",".join(
            f"(x'{identity.hex()}',{debits},{debits_pending},{credits_},{credits_pending})"
            for identity, _, (debits, debits_pending, credits_, credits_pending) in accounts
        )
        + " ON DUPLICATE KEY UPDATE debits_posted = VALUES(debits_posted),"
        " debits_pending = VALUES(debits_pending), credits_posted = VALUES(credits_posted),"
        f" credits_pending = VALUES(credits_pending), updated_at = '{sql_moment(at)}'"
    )


def pending_statement(shard: int, pendings: Sequence[tuple[Pending, str]], at: datetime) -> str:
    """Store what became of pending transfers, each with its decider."""
    moment = sql_moment(at)
    return (
        _PENDING
        + ",".join(
            f"(x'{row.id.hex()}',{shard},{bucket(decider)},'{row.code.value}','{row.debit.asset}',"
            f"'{row.debit.owner}','{row.debit.purpose.value}','{row.credit.owner}',"
            f"'{row.credit.purpose.value}',{row.units},'{row.state.value}',{int(row.signed)},"
            f"'{moment}','{moment}')"
            for row, decider in pendings
        )
        + " ON DUPLICATE KEY UPDATE state = VALUES(state), signed = VALUES(signed),"
        " changed_at = VALUES(changed_at)"
    )


def legs_statement(legs: Sequence[Leg], at: datetime) -> str:
    """Put `legs` in flight."""
    moment = sql_moment(at)
    return _LEGS + ",".join(
        f"(x'{leg.id.hex()}',x'{leg.as_transfer().digest.hex()}',{leg.from_shard},{leg.number},"
        f"x'{leg.account.id.hex()}',{bucket(leg.account.owner)},'{leg.account.asset}','{leg.side.value}',{leg.units},"
        f"'{moment}')"
        for leg in legs
    )
