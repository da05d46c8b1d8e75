"""The browser's arithmetic of amounts, run by Node beside Python's exact one."""

import json
import random
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

from infra.setup.tools import tool

MODULE = Path(__file__).parents[2] / "web" / "merchant" / "money.js"
PROGRAM = """
import { add, larger, parse, text, thousandths } from %s;
const cases = JSON.parse(process.argv[1]);
function refused(value) {
  try { parse(value); return false } catch (error) { return error instanceof RangeError }
}
const answer = {
  sums: cases.pairs.map(([a, b]) => text(add(parse(a), parse(b)))),
  larger: cases.pairs.map(([a, b]) => text(larger(parse(a), parse(b)))),
  parts: cases.pairs.map(([a, b]) => thousandths(parse(a), parse(b))),
  refused: cases.wrong.map(refused),
};
console.log(JSON.stringify(answer));
"""
WRONG = ["", "1e3", "1,5", ".5", "5.", "0x1", " 1", "+1", "--1", "NaN", "1.2.3", "\u0661"]


def in_node(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    cases = json.dumps({"pairs": pairs, "wrong": WRONG})
    program = PROGRAM % json.dumps(MODULE.as_uri())
    run = subprocess.run(
        [str(tool("node")), "--input-type=module", "--eval", program, "--", cases],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def some_pairs() -> list[tuple[str, str]]:
    dice = random.Random(7)  # noqa: S311 - test cases

    def amount() -> str:
        whole = str(dice.randrange(10 ** dice.randrange(1, 40)))
        places = dice.choice([0, 1, 2, 8, 18, 30])
        return whole + ("." + "".join(dice.choices("0123456789", k=places)) if places else "")

    worked = [("25.00", "100.00"), ("0.00", "100.00"), ("0.1", "0.2"), ("0", "0")]
    beyond = [("9007199254740993", "0.00000001"), ("0.1", "0.20"), ("-1.5", "1.25")]
    return worked + beyond + [(amount(), amount()) for _ in range(300)]


def test_sums_comparisons_and_shares_are_exact() -> None:
    pairs = some_pairs()
    found = in_node(pairs)
    for (left, right), total, most, part in zip(
        pairs, found["sums"], found["larger"], found["parts"], strict=True
    ):
        a, b = Fraction(left), Fraction(right)
        assert Fraction(total) == a + b, (left, right)
        assert Fraction(most) == max(a, b), (left, right)
        if 0 <= a <= b:
            assert part == (a * 1000 // b if b > 0 else 0), (left, right)
    assert found["sums"][:3] == ["125.00", "100.00", "0.3"]
    assert found["parts"][:2] == [250, 0]
    assert all(found["refused"]), [
        w for w, no in zip(WRONG, found["refused"], strict=True) if not no
    ]
