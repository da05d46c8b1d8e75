"""`python -m infra.local up|down|status|logs|restart`."""

import argparse
import sys
from collections import deque
from pathlib import Path

from infra.local.failure import StackFailure
from infra.local.layout import DEFAULT_VAR
from infra.local.stack import ENGINES, Stack, print_line
from infra.local.steps import STEPS
from infra.local.supervisor import (
    LIFETIME_H,
    AlreadyRunning,
    bring_down,
    detach,
    is_held,
    phase,
    supervise,
)

_LOG_LINES = 40


def _parser() -> argparse.ArgumentParser:
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--var", type=Path, default=DEFAULT_VAR, help="the stack's folder")
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="The local stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[place], help="start and hold it until Ctrl-C")
    up.add_argument("--detach", action="store_true", help="hold it in the background")
    up.add_argument("--lifetime-h", type=_hours, default=LIFETIME_H, help="ends by itself after")
    up.add_argument("--engines-only", action="store_true", help="deploy nothing")
    up.add_argument("--engines", default=",".join(ENGINES), help="names, with commas")
    commands.add_parser("down", parents=[place], help="stop exactly what was started")
    commands.add_parser("status", parents=[place], help="what runs, and where")
    logs = commands.add_parser("logs", parents=[place], help="the logs' places, or the end of one")
    logs.add_argument("name", nargs="?")
    restart = commands.add_parser("restart", parents=[place], help="one engine or program")
    restart.add_argument("name")
    return parser


def _hours(text: str) -> float:
    value = float(text)
    if not 0 < value <= 24 * 7:
        raise argparse.ArgumentTypeError("between 0 and 168")
    return value


def _up(stack: Stack, options: argparse.Namespace) -> int:
    engines = tuple(name for name in options.engines.split(",") if name)
    for name in engines:
        stack.engine(name)
    if is_held(stack.layout):
        return _already(stack)
    if options.detach:
        arguments = ["--lifetime-h", str(options.lifetime_h), "--engines", options.engines]
        return detach(stack, [*arguments, *(["--engines-only"] if options.engines_only else [])])
    try:
        supervise(
            stack,
            engines=engines,
            steps=() if options.engines_only else STEPS,
            lifetime_h=options.lifetime_h,
        )
    except AlreadyRunning:
        return _already(stack)
    return 0


def _already(stack: Stack) -> int:
    print_line(f"the stack in {stack.var} is running already ({phase(stack.layout)})")
    return _status(stack)


def _status(stack: Stack) -> int:
    now = phase(stack.layout)
    print_line(f"{stack.var}: {now}")
    for name, record in sorted(stack.processes().items()):
        place = f"{stack.engine(name).host}:{stack.engine(name).port}" if name in ENGINES else ""
        state = f"pid {record.pid}" if stack.alive(name) else "dead"
        print_line(f"  {name:<16} {state:<12} {place:<18} {stack.layout.log(name)}")
    return 0


def _logs(stack: Stack, name: str | None) -> int:
    if name is None:
        for path in sorted(stack.layout.logs.glob("*.log")):
            print_line(str(path))
        return 0
    path = stack.layout.log(name)
    if not path.exists():
        raise StackFailure(f"no log of {name} in {stack.layout.logs}")
    with path.open(errors="replace") as file:
        for line in deque(file, _LOG_LINES):
            print_line(line.rstrip("\n"))
    return 0


def main() -> int:
    """Exit status: 0 done, 1 with one line on standard error."""
    options = _parser().parse_args()
    stack = Stack(options.var)
    try:
        match options.command:
            case "up":
                return _up(stack, options)
            case "down":
                print_line("stopped" if bring_down(stack) else f"nothing runs in {stack.var}")
            case "restart":
                stack.restart(options.name)
            case "logs":
                return _logs(stack, options.name)
            case _:
                return _status(stack)
    except StackFailure as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
