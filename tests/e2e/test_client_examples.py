"""The examples of the Python client's README, run in their order against the stack."""

import re
from pathlib import Path
from typing import Any

import pytest

from infra.local import Stack
from infra.local.deployed import standard_url
from tests.e2e.scene import wait_until
from tests.unit.client_server import serving

pytestmark = pytest.mark.e2e

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"


def examples() -> list[tuple[int, str]]:
    """The line on which each Python block begins, and its text."""
    text = README.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start(1)), found.group(1))
        for found in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def run(block: tuple[int, str], names: dict[str, Any]) -> None:
    """One block. Padded, so that a failure names the README's own line."""
    line, text = block
    exec(compile("\n" * line + text, str(README), "exec"), names)  # noqa: S102 - our own page


def test_every_example_of_the_readme_does_what_it_says(running_stack: Stack) -> None:
    with serving() as receiver:
        names: dict[str, Any] = {
            "BASE_URL": standard_url(running_stack),
            "SHOP_URL": "https://shop.example.com/thanks",
            "WEBHOOK_URL": f"{receiver.url}/webhooks",
        }
        *blocks, last = examples()
        assert len(blocks) == README.read_text(encoding="utf-8").count("```python") - 1
        for block in blocks:
            run(block, names)
        # What the stack really sends is accepted by the README's own receiver, and nothing else.
        wait_until(lambda: bool(receiver.seen), "the test event to arrive")
        came = receiver.seen[0]
        assert came.members["type"] == "webhook_endpoint.test"
        assert names["receive"](came.body, dict(came.headers)) == 204
        assert names["receive"](came.body + b" ", dict(came.headers)) == 400
        run(last, names)
