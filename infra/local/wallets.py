"""Makes wallet groups by the state machine `wallet-batch` of a running stack, and shows how far it
is.

    python -m infra.local.wallets --groups N [--first-group K] [--var FOLDER]

Breaking it off stops nothing but the view; the same call again looks on. A batch that failed is
started again and goes on where it stopped. Exit status 0 when every wallet is in the pool.
"""

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pymysql
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from pymysql.cursors import Cursor

from infra.cloud.names import Stage
from infra.local.failure import StackFailure
from infra.local.layout import DEFAULT_VAR
from infra.local.seed import STAGE
from infra.local.stack import Stack, print_line
from orion.kms.batch import MAX_GROUPS, RANGES
from orion.wallet.addresses import GROUP_WALLETS, MAX_RANGE

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

POLL_S = 1.0
# A rate over this long is steady and still follows a change.
_RATE_OVER_S = 10.0
# What moneyin has not stored this long after the last range was told was lost on the way.
_STORING_PATIENCE_S = 120.0
_ATTEMPTS_MAX = 1_000
_CONFIG = Config(connect_timeout=3, read_timeout=60, retries={"total_max_attempts": 5})

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Count:
    """Wallets of the batch: `told` have left kms, `stored` can be taken."""

    told: int
    stored: int


class Counter:
    """Counts a batch's wallets in the databases. A group that is whole is not counted again."""

    def __init__(self, stack: Stack, groups: range) -> None:
        self._stack = stack
        self._groups = groups
        self._open = set(groups)

    def count(self) -> Count:
        """As committed now."""
        connection = self._stack.mariadb.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT COUNT(DISTINCT group_no, first_index) FROM orion_kms.wallet_range"
                    " WHERE group_no >= %s AND group_no < %s",
                    (self._groups.start, self._groups.stop),
                )
                told = _number(cursor) * MAX_RANGE
                stored = (len(self._groups) - len(self._open)) * GROUP_WALLETS
                for group_no in sorted(self._open):
                    found = _stored(cursor, group_no)
                    if found >= GROUP_WALLETS:
                        self._open.discard(group_no)
                    stored += found
                return Count(told, stored)
        finally:
            connection.close()


class Progress:
    """How fast wallets become ready, and how long the rest will take."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._seen: deque[tuple[float, int]] = deque()

    def rate(self, at_s: float, stored: int) -> float:
        """Wallets stored a second, over the last seconds."""
        self._seen.append((at_s, stored))
        while len(self._seen) > 2 and at_s - self._seen[1][0] >= _RATE_OVER_S:
            self._seen.popleft()
        first_s, first = self._seen[0]
        return (stored - first) / (at_s - first_s) if at_s > first_s else 0.0

    def line(self, at_s: float, count: Count) -> str:
        """For people: how many, how fast, how much longer."""
        rate = self.rate(at_s, count.stored)
        left = self._wanted - count.stored
        if left <= 0:
            ahead = "all stored"
        elif rate < 1:
            ahead = "waiting"
        else:
            ahead = f"{rate:,.0f}/s, {_duration(left / rate)} left"
        return f"{count.stored:,} of {self._wanted:,} wallets stored ({count.told:,} told), {ahead}"


class BatchRun:
    """One batch of a stack: started or found running, then watched."""

    def __init__(self, stack: Stack, groups: range) -> None:
        if not 1 <= len(groups) <= MAX_GROUPS:
            raise StackFailure(f"a batch has 1 to {MAX_GROUPS} groups")
        self.groups = groups
        self.counter = Counter(stack, groups)
        self._sfn = _stepfunctions(stack)
        account = f"{stack.ministack.region}:{stack.ministack.account_id}"
        self._machine = (
            f"arn:aws:states:{account}:stateMachine:{Stage(STAGE).stack('wallet-batch')}"
        )
        self._execution = ""

    @property
    def wanted(self) -> int:
        """Wallets of the whole batch."""
        return len(self.groups) * len(RANGES) * MAX_RANGE

    def start(self) -> str:
        """Start it, unless it runs: the execution's ARN. Raises StackFailure."""
        return self._find(join=True)

    def start_beside(self) -> str:
        """Start it once more, whether it runs or not. Raises StackFailure."""
        return self._find(join=False)

    def _find(self, *, join: bool) -> str:
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            name = f"groups-{self.groups.start}-{len(self.groups)}-{attempt}"
            arn = f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"
            status = self._status(arn)
            if status is None:
                arn = self._started(name)
            elif status != "RUNNING" or not join:
                continue
            self._execution = arn
            return arn
        raise StackFailure(f"this batch was started {_ATTEMPTS_MAX} times")

    def status(self) -> str:
        """`RUNNING`, `SUCCEEDED`, or how it ended. Raises StackFailure when it failed."""
        found = self._sfn.describe_execution(executionArn=self._execution)
        if found["status"] not in ("RUNNING", "SUCCEEDED"):
            raise StackFailure(
                f"the batch {found['status'].lower()}: {found.get('error')}: {_why(found)};"
                " to mend: read the log of the AWS engine, then start it again"
            )
        return found["status"]

    def _status(self, arn: str) -> str | None:
        try:
            return self._sfn.describe_execution(executionArn=arn)["status"]
        except self._sfn.exceptions.ExecutionDoesNotExist:
            return None

    def _started(self, name: str) -> str:
        request = json.dumps({"first_group": self.groups.start, "groups": len(self.groups)})
        return self._sfn.start_execution(stateMachineArn=self._machine, name=name, input=request)[
            "executionArn"
        ]


def make_wallets(stack: Stack, groups: range, report: Report = print_line) -> None:
    """Run the batch to its end, telling how far it is. Raises StackFailure."""
    run = BatchRun(stack, groups)
    count = run.counter.count()
    if count.stored >= run.wanted:
        report(f"{count.stored:,} of {run.wanted:,} wallets stored already")
        return
    run.start()
    progress = Progress(run.wanted)
    moved_s, before = time.monotonic(), count
    while count.stored < run.wanted:
        done = run.status() == "SUCCEEDED"
        now_s = time.monotonic()
        count = run.counter.count()
        report(progress.line(now_s, count))
        if count != before:
            moved_s, before = now_s, count
        elif done and now_s - moved_s > _STORING_PATIENCE_S:
            raise StackFailure(
                f"{run.wanted - count.stored:,} wallets were told and not stored; to mend: read the"
                " log of poller-moneyin-addresses and the topic dead-letter.moneyin, then ask"
                " kms address_pool for their ranges again (docs/wallets.md)"
            )
        time.sleep(POLL_S)
    report(f"{count.stored:,} of {run.wanted:,} wallets stored")


def _stored(cursor: Cursor, group_no: int) -> int:
    cursor.execute("SELECT COUNT(*) FROM orion_moneyin.wallet WHERE group_no = %s", (group_no,))
    return _number(cursor)


def _number(cursor: Cursor) -> int:
    row = cursor.fetchone()
    if row is None:
        raise StackFailure("a count had no row; to mend: make up again")
    return int(row[0])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _why(found: "DescribeExecutionOutputTypeDef") -> str:
    return str(found.get("cause", ""))[:500]


def _stepfunctions(stack: Stack) -> "SFNClient":
    environment: Mapping[str, str] = stack.ministack.environment()
    session = boto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=stack.ministack.region,
    )
    return session.client("stepfunctions", endpoint_url=stack.ministack.url, config=_CONFIG)


def main() -> int:
    """Exit status: 0 all stored, 1 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.wallets")
    parser.add_argument("--groups", type=int, required=True, help="10,000 wallets each")
    parser.add_argument("--first-group", type=int, default=0)
    parser.add_argument("--var", type=Path, default=DEFAULT_VAR, help="the stack's folder")
    chosen = parser.parse_args()
    try:
        first = chosen.first_group
        make_wallets(Stack(chosen.var), range(first, first + chosen.groups))
    except StackFailure as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    except (pymysql.err.OperationalError, BotoCoreError) as exc:
        sys.stderr.write(f"the stack in {chosen.var} does not answer ({exc}); make up first\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("the batch goes on; the same call looks on\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
