"""One stack: its engines and programs, seen from any process."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.local.anvil import Anvil
from infra.local.btcd import Btcd
from infra.local.engine import Engine
from infra.local.failure import StackFailure
from infra.local.kafka import Kafka
from infra.local.layout import DEFAULT_VAR, Layout
from infra.local.mariadb import MariaDb
from infra.local.memcached import Memcached
from infra.local.ministack import MiniStack
from infra.local.postgres import Postgres
from infra.local.processes import ProcessRecord, ProcessTable, is_alive
from infra.local.programs import Program, Programs
from infra.local.solana_node import Solana
from infra.local.ticker import Ticker
from infra.local.tron_node import TronNode

Report = Callable[[str], None]

_POLL_S = 0.05
# The whole stack takes some 500 MB when it begins, and a full disk ends all engines at once.
_FREE_BYTES = 1_500_000_000

# In the order in which a person reads them; they start together.
ENGINES: tuple[str, ...] = (
    "kafka",
    "mariadb",
    "postgres",
    "memcached",
    "ministack",
    "anvil",
    "btcd",
    "tron",
    "solana",
    "ticker",
)


def print_line(line: str) -> None:
    """Progress for people."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Stack:
    """The stack in folder `var`. Creating this object starts nothing and changes nothing."""

    def __init__(self, var: Path = DEFAULT_VAR, *, report: Report = print_line) -> None:
        self.layout = Layout(var)
        self._report = report
        self._table = ProcessTable(self.layout)
        self._programs = Programs(self.layout)
        self.kafka = Kafka(self.layout)
        self.mariadb = MariaDb(self.layout)
        self.postgres = Postgres(self.layout)
        self.memcached = Memcached(self.layout)
        self.ministack = MiniStack(self.layout)
        self.anvil = Anvil(self.layout)
        self.btcd = Btcd(self.layout)
        self.tron = TronNode(self.layout)
        self.solana = Solana(self.layout)
        self.ticker = Ticker(self.layout)
        self._engines: Mapping[str, Engine] = {
            engine.name: engine
            for engine in (
                self.kafka,
                self.mariadb,
                self.postgres,
                self.memcached,
                self.ministack,
                self.anvil,
                self.btcd,
                self.solana,
                self.tron,
                self.ticker,
            )
        }

    @property
    def var(self) -> Path:
        return self.layout.var

    def report(self, line: str) -> None:
        """Tell the person who started the stack."""
        self._report(line)

    def engine(self, name: str) -> Engine:
        """The engine called `name`. Raises StackFailure."""
        try:
            return self._engines[name]
        except KeyError:
            known = ", ".join(ENGINES)
            raise StackFailure(f"no engine {name}; to mend: name one of {known}") from None

    def up(self, engines: Sequence[str] = ENGINES) -> None:
        """Start engines in parallel and wait until all are ready; no-op for those that run.

        Raises the first EngineFailure; then everything that this call started is stopped again.
        Raises StackFailure where the disk is nearly full.
        """
        self.layout.create()
        free = shutil.disk_usage(self.var).free
        if free < _FREE_BYTES:
            raise StackFailure(
                f"{self.var} has {free // 1_000_000} MB of disk left; to mend: make room for "
                f"{_FREE_BYTES // 1_000_000} MB, or name another folder with --var"
            )
        begun = [engine for engine in map(self.engine, engines) if engine.record() is None]
        if not begun:
            return
        failed = threading.Event()
        failures: list[StackFailure] = []

        def start(engine: Engine) -> None:
            try:
                self._start(engine)
            except StackFailure as exc:
                failures.append(exc)
                failed.set()

        with ThreadPoolExecutor(max_workers=len(begun)) as pool:
            try:
                running = [pool.submit(start, engine) for engine in begun]
                while not failed.is_set() and not all(future.done() for future in running):
                    failed.wait(_POLL_S)
                for future in running:
                    if future.done():
                        future.result()
            except BaseException:
                failed.set()
                raise
            finally:
                if failed.is_set():
                    # Those still starting see their process end, and end too.
                    self._stop_engines(begun)
        if failures:
            self._stop_engines(begun)
            raise failures[0]

    def _start(self, engine: Engine) -> None:
        begin = time.monotonic()
        notes = engine.start()
        for note in notes:
            self.report(f"  {engine.name}: {note}")
        self.report(
            f"  {engine.name:<10} ready  {time.monotonic() - begin:5.1f} s  "
            f"{engine.host}:{engine.port}"
        )

    def start(self, name: str) -> None:
        """Start one engine; returns when it is ready. No-op when it runs. Raises EngineFailure."""
        self._start(self.engine(name))

    def stop(self, name: str) -> None:
        """Stop one engine in good order."""
        self.engine(name).stop()

    def kill(self, name: str) -> None:
        """SIGKILL one engine's process group; returns when it is gone."""
        self.engine(name).kill()

    def alive(self, name: str) -> bool:
        """Whether the engine or program called `name` runs."""
        found = self._table.find(name)
        return found is not None and is_alive(found)

    def processes(self) -> Mapping[str, ProcessRecord]:
        """Every recorded process, dead ones included."""
        return self._table.all()

    def run_program(self, program: Program) -> ProcessRecord:
        """Start a program and wait until it is ready; the living one when it runs already."""
        if program.name in self._engines:
            raise StackFailure(f"{program.name} is an engine; to mend: name the program otherwise")
        begin = time.monotonic()
        running = self.alive(program.name)
        started = self._programs.start(program)
        if not running:
            self.report(f"  {program.name:<10} ready  {time.monotonic() - begin:5.1f} s")
        return started

    def stop_program(self, name: str) -> None:
        """Stop a program and forget it."""
        self._programs.stop(name)

    def kill_program(self, name: str) -> None:
        """SIGKILL a program's process group; it stays registered, `run_program` starts it again."""
        self._programs.kill(name)

    def programs(self) -> Mapping[str, Program]:
        """Programs by name, as they were given to run_program."""
        return self._programs.registered()

    def restart(self, name: str) -> None:
        """Stop (if it runs) and start an engine or a registered program."""
        program = self.programs().get(name)
        if program is not None:
            self._programs.stop(name)
            self.run_program(program)
            return
        engine = self.engine(name)
        engine.stop()
        self._start(engine)

    def down(self) -> None:
        """Stop all that was started in this folder and nothing else: programs, then engines."""
        for name in reversed([*self.programs(), *self._table.all()]):
            if name not in self._engines:
                self._programs.stop(name)
        self._stop_engines([self._engines[name] for name in self._table.all()])

    def _stop_engines(self, engines: Sequence[Engine]) -> None:
        if engines:
            with ThreadPoolExecutor(max_workers=len(engines)) as pool:
                list(pool.map(lambda engine: engine.stop(), engines))
