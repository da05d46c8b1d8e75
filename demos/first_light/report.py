"""What the story leaves behind: a table for people and a JSON file for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from demos.first_light.story import Told


def table(stories: Sequence[Told]) -> str:
    """Stages down, assets across, and the two balances, which must be equal."""
    stages = list(dict.fromkeys(stage for told in stories for stage in told.stages_ms))
    rows = [["stage", *(told.asset for told in stories)]]
    rows += [
        [stage, *(f"{told.stages_ms.get(stage, 0):,} ms" for told in stories)] for stage in stages
    ]
    rows += [
        ["balance in the ledger", *(told.ledger_balance for told in stories)],
        ["balance on the chain", *(told.chain_balance for told in stories)],
        ["equal", *("yes" if told.balanced else "NO" for told in stories)],
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def unequal(stories: Sequence[Told]) -> list[str]:
    """The assets whose ledger and chain differ; an account that is absent differs from zero."""
    return [told.asset for told in stories if not told.balanced]


def write(stories: Sequence[Told], path: Path) -> None:
    """`{"stories": [{"asset", "invoice_id", "stages_ms", "ledger_balance", "chain_balance",
    "screenshot"}]}`
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {"stories": [asdict(told) for told in stories]}
    path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
