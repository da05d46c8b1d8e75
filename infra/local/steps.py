"""What happens after the engines serve: data, so that a room adds its step in one line.

A step is "module:function", called with the Stack. It is idempotent, tells its progress through
`stack.report`, and raises StackFailure (one line: what failed and how to mend it).
"""

import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.failure import StackFailure
from infra.local.layout import DEFAULT_VAR
from infra.local.stack import ENGINES, Report, Stack, print_line


@dataclass(frozen=True, slots=True)
class Step:
    """`title` is for people; `function` is "module:function"."""

    title: str
    function: str

    def resolve(self) -> Callable[[Stack], object]:
        """The function itself. Raises StackFailure when there is none."""
        module, _, name = self.function.partition(":")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as exc:
            raise StackFailure(f"step {self.title}: {exc}; to mend: correct {__file__}") from exc
        if not callable(found):
            raise StackFailure(f"step {self.title}: {self.function} is no function")
        step: Callable[[Stack], object] = found
        return step


STEPS: tuple[Step, ...] = (
    Step("faucets", "infra.local.faucet:prepare"),
    Step("parameters and secrets", "infra.local.seed:seed"),
    Step("deployment", "infra.local.poller_programs:deploy_step"),
    Step("pollers", "infra.local.poller_programs:pollers_step"),
    Step("agents", "infra.local.serving:agents"),
    Step("wallets", "infra.local.serving:pool"),
)


def run_steps(stack: Stack, steps: Sequence[Step] = STEPS) -> None:
    """Run `steps` in order."""
    for step in steps:
        begin = time.monotonic()
        step.resolve()(stack)
        stack.report(f"  {step.title}  {time.monotonic() - begin:.1f} s")


def stack_up(
    var: Path = DEFAULT_VAR,
    *,
    report: Report = print_line,
    engines: Sequence[str] = ENGINES,
    steps: Sequence[Step] = STEPS,
) -> Stack:
    """Start the engines of the stack in `var`, then run `steps`; everything is stopped again on
    failure.
    """
    stack = Stack(var, report=report)
    try:
        stack.up(engines)
        run_steps(stack, steps)
    except BaseException:
        stack.down()
        raise
    return stack


def stack_down(var: Path = DEFAULT_VAR) -> None:
    """Stop everything that was started in `var`."""
    Stack(var).down()
