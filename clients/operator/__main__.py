"""`orion`: what operators ask a stage."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from clients.operator.failure import Exit, OperatorFailure

_STAGE = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_TRANSFER = re.compile(r"[0-9a-f]{32}", re.ASCII)


def parser() -> argparse.ArgumentParser:
    """The command's words. Pure."""
    stage = argparse.ArgumentParser(add_help=False)
    stage.add_argument(
        "--stage",
        type=_stage,
        default=os.environ.get("ORION_STAGE"),
        help="the stage, for instance dev (default: ORION_STAGE)",
    )
    top = argparse.ArgumentParser(prog="orion", description="Ask a stage of Orion-Pay.")
    areas = top.add_subparsers(dest="area", required=True, metavar="AREA")
    books = areas.add_parser("books", help="the ledger's three books")
    commands = books.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("check", parents=[stage], help="compare the three books now")
    check.add_argument("--all", action="store_true", help="from the first entry on")
    show = commands.add_parser("statement", parents=[stage], help="an account's lines")
    show.add_argument("account", help="merchant:<32 hex>/available/BTC.bitcoin, or an account id")
    show.add_argument("--at", help="as it stood at this moment, RFC 3339")
    show.add_argument("--limit", type=_limit, default=50, help="lines a page, 1 to 500")
    show.add_argument("--cursor", help="the last page's `more`")
    prove = commands.add_parser("prove", parents=[stage], help="prove that a transfer is booked")
    prove.add_argument("transfer", type=_transfer, help="the transfer's id, 32 hex digits")
    prove.add_argument("--out", type=Path, help="a new file for the proof (default: stdout)")
    verify = commands.add_parser("verify", help="verify a proof, without any network")
    verify.add_argument("file", type=Path)
    verify.add_argument("--key", type=Path, help="the published key of the stage, PEM")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code; answers on stdout, progress and failures on stderr."""
    try:
        text, code = _run(parser().parse_args(arguments))
    except OperatorFailure as failure:
        print(f"orion: {failure.what}\nto do: {failure.mend}", file=sys.stderr)  # noqa: T201
        return failure.exit_code
    except KeyboardInterrupt:
        print("orion: stopped waiting; what was started goes on", file=sys.stderr)  # noqa: T201
        return Exit.STOPPED
    sys.stdout.write(text)
    return code


def _run(options: argparse.Namespace) -> tuple[str, Exit]:
    from clients.operator import books

    if options.command == "verify":
        return books.verify_file(options.file, options.key)
    if not options.stage:
        raise OperatorFailure("no stage is named", "add --stage or set ORION_STAGE", Exit.USAGE)
    from clients.operator.cloud import Cloud

    cloud = Cloud(options.stage)
    if options.command == "check":
        return books.check(cloud, everything=options.all)
    if options.command == "statement":
        return books.statement(
            cloud,
            options.account,
            at=options.at,
            limit=options.limit,
            cursor=options.cursor,
        )
    return books.prove(cloud, options.transfer, options.out)


def _stage(text: str) -> str:
    if not _STAGE.fullmatch(text):
        raise argparse.ArgumentTypeError("a stage is a short word in lower case")
    return text


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:4]) <= 500:
        raise argparse.ArgumentTypeError("between 1 and 500")
    return int(text)


def _transfer(text: str) -> str:
    if not _TRANSFER.fullmatch(text):
        raise argparse.ArgumentTypeError("a transfer's id has 32 hexadecimal digits, lower case")
    return text


if __name__ == "__main__":
    sys.exit(main())
