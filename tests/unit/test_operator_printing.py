"""What a report's head prints of cells that somebody has written to move a terminal."""

import csv
import io

import pytest

from clients.operator.printing import printable, report_head


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J\x1b[Hequal",
        "\x9b2J",
        "a\rb",
        "a\nb",
        "a\x00b",
        "\u202egnp",
        "a\x07",
        "\x7f",
        "a\tb",
    ],
)
def test_nothing_that_a_terminal_obeys_is_printed(text: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("run", f"r{text}"))
    writer.writerow(("what", "found"))
    writer.writerow(("An entry was changed", text))
    shown = report_head(out.getvalue().encode())
    assert all(letter.isprintable() for letter in shown.replace("\n", ""))
    # Each row is one line: none is made by what stands in a cell.
    assert len(shown.splitlines()) == 4
    assert "\ufffd" in shown


def test_letters_of_every_language_stay() -> None:
    assert printable("Käse 0.5, 東京") == "Käse 0.5, 東京"
