"""One MySQL connection of one process: transactions, and what its failures mean to a caller."""

import logging
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import pymysql
from pymysql.cursors import Cursor

from orion.errors import OrionError, Retry

__all__ = ["SESSION", "BeginAgain", "Cursor", "Database", "DatabaseUnavailable", "MySqlConfig"]

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5
# Above what the server lets a statement wait for a lock, so that it answers first and the outcome
# stays known.
READ_TIMEOUT_S = 30
_DEADLOCK, _LOCK_WAIT = 1213, 1205
# For so long after it ended a transaction a connection is taken to live.
_BELIEVED_S = 1.0
# Too many connections, shutting down, interrupted, timed out, read-only after a failover, killed.
_SERVER_GONE = frozenset(
    {0, 1040, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1290, 1317, 1836, 1927, 3024, 4031}
)
# Of whoever stores rows, and of whoever makes procedures, which keep the mode they are made in.
SESSION = (
    "SET time_zone = '+00:00',"
    " sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO'"
)

_log = logging.getLogger(__name__)


def _connection_lost(error: pymysql.err.OperationalError) -> bool:
    """Client errors (2000 to 2999) and the server's own: shutting down, killed, interrupted.

    Source: MySQL 8.0 Error Message Reference. Everything else (no such column, access denied) is a
    mistake of ours, not an outage.
    """
    number = error.args[0] if error.args else 0
    return not isinstance(number, int) or 2000 <= number < 3000 or number in _SERVER_GONE


def _idle(idle_s: int | None) -> str:
    return "" if idle_s is None else f", wait_timeout = {idle_s:d}"


class BeginAgain(Exception):
    """Somebody else did meanwhile what this transaction was about to do: it is undone, and its work
    looks again.
    """


class DatabaseUnavailable(OrionError):
    """The connection failed. A transaction under way may or may not have been committed."""

    code = "temporarily_unavailable"
    retry = Retry.SAME_KEY


@dataclass(frozen=True, slots=True, repr=False)
class MySqlConfig:
    """Where a schema is. `ca_pem` None trusts the system's authorities; the connection is always
    TLS with the host verified. `idle_s` is after how long without a statement the server ends a
    session and undoes its transaction; None leaves it to the server (8 h unless told otherwise).
    """

    host: str
    port: int
    user: str
    password: str
    schema: str
    ca_pem: str | None
    idle_s: int | None = None

    def __repr__(self) -> str:
        return f"MySqlConfig({self.user}@{self.host}:{self.port}/{self.schema})"


class Database:
    """Opens its connection at first use and again after a failure. Not for use by two threads at
    once.
    """

    def __init__(self, config: MySqlConfig) -> None:
        self._config = config
        self._connection: pymysql.Connection[Cursor] | None = None
        self._ended_s = 0.0
        # How many connections were opened: whoever remembers what a server said asks whether it
        # may be another one by now.
        self.opened = 0

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """One READ COMMITTED transaction: committed at the end, rolled back on any exception.

        Raises DatabaseUnavailable when the connection fails, also in the middle of a commit, whose
        outcome is then unknown: a caller repeats work that carries its own identity.
        """
        connection = self._begun()
        try:
            with connection.cursor() as cursor:
                yield cursor
            connection.commit()
            self._ended_s = time.time()
        except pymysql.err.OperationalError as exc:
            if exc.args and exc.args[0] in (_DEADLOCK, _LOCK_WAIT):
                self._roll_back()
                raise
            if not _connection_lost(exc):
                self._roll_back()
                raise
            self.close()
            raise DatabaseUnavailable("the database connection failed") from exc
        except pymysql.err.InterfaceError as exc:
            self.close()
            raise DatabaseUnavailable("the database connection failed") from exc
        except BaseException:
            self._roll_back()
            raise

    def run(self, work: Callable[[Cursor], T], *, attempts: int = 3) -> T:
        """`work` in one transaction, whole again after a deadlock, a lock time-out or BeginAgain,
        at most `attempts` times.
        """
        for attempt in range(1, attempts + 1):
            try:
                with self.transaction() as cursor:
                    return work(cursor)
            except (pymysql.err.OperationalError, BeginAgain) as exc:
                number = exc.args[0] if exc.args else 0
                if not isinstance(exc, BeginAgain) and number not in (_DEADLOCK, _LOCK_WAIT):
                    raise
                if attempt == attempts:
                    raise DatabaseUnavailable("the rows stayed locked by others") from exc
                _log.info("transaction repeated", extra={"attempt": attempt, "mysql_error": number})
        raise ValueError("attempts must be at least 1")

    def close(self) -> None:
        """Drop the connection; the next transaction opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except pymysql.err.Error:
                _log.debug("the broken connection was already closed")

    def _roll_back(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.rollback()
            self._ended_s = time.time()
        except pymysql.err.Error:
            self.close()

    def _begun(self) -> "pymysql.Connection[Cursor]":
        """A connection outside any transaction: its next statement begins one (MySQL 8.0 Reference
        Manual, 13.3.1, with autocommit off). What fails here has done nothing yet.
        """
        if self._connection is not None:
            # A frozen Lambda environment may wake with a connection that the server has closed
            # meanwhile; the wall clock, unlike the monotonic one, tells that it was frozen. To
            # begin is the question whether the connection lives, and a round trip: it is not asked
            # of one that has just answered.
            if 0 <= time.time() - self._ended_s < _BELIEVED_S:
                return self._connection
            try:
                self._connection.begin()
                return self._connection
            except (pymysql.err.Error, OSError):
                self.close()
        return self._open()

    def _open(self) -> "pymysql.Connection[Cursor]":
        config = self._config
        try:
            self._connection = pymysql.connect(
                host=config.host,
                port=config.port,
                user=config.user,
                password=config.password,
                database=config.schema,
                charset="utf8mb4",
                autocommit=False,
                local_infile=False,
                ssl=ssl.create_default_context(cadata=config.ca_pem),
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                write_timeout=READ_TIMEOUT_S,
                init_command=SESSION + _idle(config.idle_s),
            )
            with self._connection.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            self.opened += 1
            return self._connection
        except (pymysql.err.Error, OSError) as exc:
            self.close()
            raise DatabaseUnavailable("the database does not answer") from exc
