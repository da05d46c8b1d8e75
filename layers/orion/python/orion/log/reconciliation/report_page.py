"""The report of a run as one HTML page for people: no scripts, nothing loaded from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape

from orion.log.reconciliation.model import Book, Run
from orion.log.reconciliation.report import (
    BOOK_WORDS,
    COLUMNS,
    OUTCOME_WORDS,
    Findings,
    incidents,
    not_checked,
    outcome,
    row,
    total,
)
from orion.money import ASSETS

_MAX_NOT_CHECKED = 100
_STYLE = (
    "body{font:15px/1.45 sans-serif;margin:2em;max-width:90em}"
    "table{border-collapse:collapse;margin:.6em 0 1.6em}"
    "th,td{border:1px solid #bbb;padding:.25em .6em;text-align:left;vertical-align:top}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}"
    "code{font-size:90%;word-break:break-all}"
    ".equal{color:#06602b}.different,.not_checked{color:#a30000}"
)


def html_report(run: Run, findings: Findings) -> bytes:
    """The whole page, UTF-8. Everything that came from a book is escaped."""
    ended = outcome(run, findings)
    missing = not_checked(run, findings)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>Reconciliation {escape(run.name)}</title><style>{_STYLE}</style>",
        f"<h1>Reconciliation of {run.started_at:%d %B %Y}</h1>",
        f'<p class="{ended}"><strong>{escape(OUTCOME_WORDS[ended])}</strong></p>',
        _head(run),
        *_missing(missing),
        *_incidents(run, findings),
        *_books(findings),
        *_differences(findings),
        *_totals(findings),
        "</html>",
    ]
    return "\n".join(parts).encode()


def _head(run: Run) -> str:
    return (
        f"<p>Run <code>{escape(run.name)}</code>, id <code>{run.id.hex()}</code>, scope"
        f" {escape(run.scope)}, begun {run.started_at:%Y-%m-%d %H:%M:%S} UTC.</p>"
    )


def _missing(missing: Sequence[str]) -> Iterable[str]:
    if missing:
        yield "<h2>What could not be checked</h2><ul>"
        for line in missing[:_MAX_NOT_CHECKED]:
            yield f"<li>{escape(line)}</li>"
        if len(missing) > _MAX_NOT_CHECKED:
            yield f"<li>and {len(missing) - _MAX_NOT_CHECKED} more</li>"
        yield "</ul>"


def _incidents(run: Run, findings: Findings) -> Iterable[str]:
    opened = incidents(run, findings)
    if opened:
        yield "<h2>Incidents</h2>"
        yield from _table(
            ("asset", "payouts", "differences", "incident"),
            (
                (
                    incident.asset,
                    "refused until lifted" if incident.freezes else "go on",
                    str(incident.differences),
                    incident.id.hex(),
                )
                for incident in opened
            ),
        )


def _books(findings: Findings) -> Iterable[str]:
    yield "<h2>Entries compared</h2>"
    names = [BOOK_WORDS[book] for book in Book]
    yield from _table(
        ("shard", "records posted", *(f"entries read: {name}" for name in names)),
        (
            (
                str(plan.shard),
                str(plan.through),
                *(str(findings.entries.get((plan.shard, book), 0)) for book in Book),
            )
            for plan in findings.shards
        ),
    )
    yield (
        f"<p>{len(findings.ranges)} ranges, {findings.hours} trees of an hour in each book. Equal"
        " roots mean equal entries, byte for byte.</p>"
    )


def _differences(findings: Findings) -> Iterable[str]:
    counted = total(findings.counted)
    yield f"<h2>Differences: {counted}</h2>"
    if counted > len(findings.differences):
        yield f"<p>The first {len(findings.differences)} are listed.</p>"
    if findings.differences:
        yield from _table(COLUMNS, (row(difference) for difference in findings.differences))


def _totals(findings: Findings) -> Iterable[str]:
    if findings.totals:
        yield "<h2>Accounts by asset and purpose</h2>"
        yield from _table(
            ("asset", "purpose", "accounts", "debits", "credits", "credits less debits"),
            (
                (
                    asset,
                    purpose,
                    str(accounts),
                    _amount(sums.debits_posted, asset),
                    _amount(sums.credits_posted, asset),
                    _amount(sums.credits_posted - sums.debits_posted, asset),
                )
                for (asset, purpose), (accounts, sums) in sorted(findings.totals.items())
            ),
        )


def _amount(units: int, asset: str) -> str:
    """Smallest units as a decimal of the asset: 41234 of Bitcoin is 0.00041234. As digits of text,
    because no float holds them.
    """
    known = ASSETS.get(asset)
    if known is None:
        return f"{units} units"
    digits = str(abs(units)).rjust(known.decimals + 1, "0")
    whole = len(digits) - known.decimals
    text = digits[:whole] + ("." + digits[whole:] if known.decimals else "")
    return "-" + text if units < 0 else text


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield "<table><tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"
    for cells in rows:
        yield "<tr>" + "".join(_cell(cell) for cell in cells) + "</tr>"
    yield "</table>"


def _cell(text: str) -> str:
    number = text.removeprefix("-").replace(".", "", 1).isdigit()
    return f'<td class="n">{escape(text)}</td>' if number else f"<td>{escape(text)}</td>"
