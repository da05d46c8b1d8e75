"""What the command prints: plain text for people, columns aligned, amounts as decimals. Pure."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import cast

from orion.ledger.book import posted_at_text
from orion.ledger.proof import Proven
from orion.money import ASSETS, Amount

Answer = Mapping[str, object]
_HEAD = ("posted at", "code", "debit", "credit", "balance", "pending", "transfer")
_RIGHT = frozenset({"debit", "credit", "balance", "pending"})


def statement(answer: Answer) -> str:
    """A page of a statement: whose it is, its lines, the balance and how to go on."""
    account = cast(Mapping[str, str], answer["account"])
    asset = str(answer["asset"])
    lines = cast(Sequence[Answer], answer["lines"])
    text = [
        f"{account['owner']}/{account['purpose']}/{asset}  (account {account['id']})",
        _completeness(answer),
        "",
    ]
    rows = [_HEAD, *(_line(line, asset) for line in lines)]
    text += _aligned(rows) if lines else ["no lines"]
    text += ["", _balance(answer.get("balance"), asset)]
    cursor = answer.get("next_cursor")
    if cursor is not None:
        text.append(f"more: add --cursor {cursor}")
    return "\n".join(text) + "\n"


def proven(found: Proven) -> str:
    """What a verified proof says, and what is left to compare."""
    entry, header = found.entry, found.header
    debit, credit = found.accounts[entry.debit], found.accounts[entry.credit]
    asset = debit.asset
    rows = [
        ("transfer", entry.id.hex()),
        ("stands at", f"shard {entry.shard}, number {entry.number}, position {entry.position}"),
        ("posted at", posted_at_text(entry.posted_at)),
        ("moves", f"{decimal(str(entry.units), asset)} ({entry.units} units), {entry.kind}"),
        ("code", entry.code.value),
        ("debits", f"{debit.owner}/{debit.purpose}/{debit.asset}"),
        ("credits", f"{credit.owner}/{credit.purpose}/{credit.asset}"),
    ]
    numbers = f"numbers {header.first_number} to {header.last_number}"
    if entry.counterpart is not None:
        meant = found.accounts[entry.counterpart]
        rows.append(("counterpart", f"{meant.owner}/{meant.purpose}/{meant.asset}"))
    rows += [
        ("cause", entry.cause.decode()),
        ("segment", f"{header.entries} entries, {numbers} of stage {header.stage}"),
        ("signed by", found.key),
    ]
    text = ["The proof is valid: the transfer stands in a segment that this key signed.", ""]
    text += [f"{name:<12}{printable(value)}" for name, value in rows]
    if not found.key_was_asked_for:
        text += [
            "",
            "Whose key this is, the proof cannot say: compare its fingerprint (signed by) with the",
            "one that the stage publishes, or verify again with --key and the published key.",
        ]
    return "\n".join(text) + "\n"


def report_head(body: bytes, most: int = 20) -> str:
    """The head of a check's report: its facts, and its first differences."""
    # Cells come from books that somebody may have changed: none of them moves a terminal's cursor.
    rows = [
        [printable(cell) for cell in row]
        for row in csv.reader(io.StringIO(body.decode("utf-8", "replace")))
    ]
    facts = [row for row in rows if row and row[0] in _FACTS]
    rest = [row for row in rows[len(facts) :] if row]
    text = [f"{row[0]:<18}{' '.join(row[1:])}" for row in facts]
    if len(rest) > 1:
        text += ["", *_aligned([[cell[:40] for cell in row] for row in rest[: most + 1]])]
    if len(rest) > most + 1:
        text.append(f"and {len(rest) - most - 1} more in the report")
    return "\n".join(text) + "\n"


def printable(text: str) -> str:
    """`text` with everything that a terminal would obey, or not show, as U+FFFD: control
    characters (ECMA-48), marks of direction, line ends.
    """
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


_FACTS = frozenset({"run", "outcome", "started at (UTC)", "differences", "not checked"})


def decimal(units: str, asset: str) -> str:
    """`41234` of BTC.bitcoin as `0.00041234 BTC`; in units where the asset is not known here."""
    known = ASSETS.get(asset)
    return (
        f"{units} units" if known is None else f"{Amount(int(units), known).text()} {known.symbol}"
    )


def _line(line: Answer, asset: str) -> Sequence[str]:
    amount = _plain(int(str(line["units"])), asset)
    debit = line["side"] == "debit"
    booked, pending = _sums(cast(Mapping[str, str], line["balance"]))
    code = str(line["code"])
    return (
        str(line["posted_at"]),
        code if line["kind"] == "direct" else f"{code} {line['kind']}",
        amount if debit else "",
        "" if debit else amount,
        _plain(booked, asset),
        _plain(pending, asset) if pending else "",
        str(line["transfer_id"]),
    )


def _sums(counters: Mapping[str, str]) -> tuple[int, int]:
    """What is booked, and what pending transfers hold back."""
    booked = int(counters["credits_posted"]) - int(counters["debits_posted"])
    return booked, int(counters["debits_pending"])


def _plain(units: int, asset: str) -> str:
    known = ASSETS.get(asset)
    return str(units) if known is None else Amount(units, known).text()


def _balance(value: object, asset: str) -> str:
    if not isinstance(value, Mapping):
        return "balance: unknown, nothing of this account is known for that moment"
    booked, pending = _sums(cast(Mapping[str, str], value))
    held = f", of which {decimal(str(pending), asset)} are held back" if pending else ""
    return f"balance at {value.get('at')}: {decimal(str(booked), asset)}{held}"


def _completeness(answer: Answer) -> str:
    through = answer.get("complete_through")
    if through is None:
        return "nothing of this account has been entered yet"
    return f"complete through {through}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    columns = max(len(row) for row in rows)
    padded = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(len(row[at]) for row in padded) for at in range(columns)]
    right = {at for at, name in enumerate(padded[0]) if name in _RIGHT}
    return [
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in padded
    ]
