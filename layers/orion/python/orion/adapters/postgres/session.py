"""One PostgreSQL connection of one process: transactions, and what its failures mean."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import errors

from orion.adapters.postgres.config import PostgresConfig
from orion.errors import OrionError, Retry

__all__ = ["Cursor", "Database", "DatabaseUnavailable", "PostgresConfig", "connect"]

T = TypeVar("T")
Cursor = psycopg.Cursor[tuple[Any, ...]]
Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT_S = 5
# The server answers before a caller's own deadline, so that the outcome stays known.
LOCK_TIMEOUT_MS = 20_000
STATEMENT_TIMEOUT_MS = 30_000
# A process that was frozen inside a transaction must not keep the row that fences its successors.
IDLE_TIMEOUT_MS = 60_000
_AGAIN = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)

_log = logging.getLogger(__name__)


class DatabaseUnavailable(OrionError):
    """The connection failed. A transaction under way may or may not have been committed."""

    code = "temporarily_unavailable"
    retry = Retry.SAME_KEY


def connect(
    config: PostgresConfig, database: str, settings: str, *, autocommit: bool
) -> Connection:
    """A new connection, always TLS with the host verified. `settings` are options of the session
    ("-c name=value …"). Raises psycopg.Error.
    """
    # libpq reads authorities from a file only, while connecting; it is not needed after.
    with tempfile.TemporaryDirectory() as folder:
        authorities = "system"
        if config.ca_pem is not None:
            path = Path(folder) / "ca.pem"
            path.write_text(config.ca_pem, encoding="ascii")
            authorities = str(path)
        return psycopg.connect(
            host=config.host,
            port=config.port,
            user=config.user,
            password=config.password,
            dbname=database,
            sslmode="verify-full",
            sslrootcert=authorities,
            connect_timeout=CONNECT_TIMEOUT_S,
            options=f"-c timezone=UTC {settings}",
            autocommit=autocommit,
            # A peer that vanished is noticed within about half a minute (tcp(7)).
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=30_000,
        )


class Database:
    """Opens its connection at first use and again after a failure. Not for use by two threads at
    once.
    """

    def __init__(self, config: PostgresConfig) -> None:
        self._config = config
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """One READ COMMITTED transaction: committed at the end, rolled back on any exception.

        Raises DatabaseUnavailable when the connection fails, also in the middle of a commit, whose
        outcome is then unknown: a caller repeats work that carries its own identity.
        """
        connection = self._open()
        try:
            with connection.cursor() as cursor:
                yield cursor
            connection.commit()
        except psycopg.Error as exc:
            # By the connection, not by the error's class: a session that lay idle for too long ends
            # with an InternalError (25P03).
            # A server that only reads is one that lost its part in a failover: look for the other.
            if not connection.closed and not isinstance(exc, errors.ReadOnlySqlTransaction):
                # The server's own word (a lock, a mistake of ours): nothing of this is stored.
                self._roll_back()
                raise
            self.close()
            raise DatabaseUnavailable("the connection to the external database failed") from exc
        except BaseException:
            self._roll_back()
            raise

    def run(self, work: Callable[[Cursor], T], *, attempts: int = 3) -> T:
        """`work` in one transaction, whole again after a deadlock or a lock time-out, at most
        `attempts` times.
        """
        for attempt in range(1, attempts + 1):
            try:
                with self.transaction() as cursor:
                    return work(cursor)
            except _AGAIN as exc:
                if attempt == attempts:
                    raise DatabaseUnavailable("the rows stayed locked by others") from exc
                _log.info(
                    "transaction repeated", extra={"attempt": attempt, "sqlstate": exc.sqlstate}
                )
            except errors.QueryCanceled as exc:
                raise DatabaseUnavailable("a statement took too long") from exc
        raise ValueError("attempts must be at least 1")

    def close(self) -> None:
        """Drop the connection; the next transaction opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _roll_back(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.rollback()
        except psycopg.Error:
            self.close()

    def _open(self) -> Connection:
        if self._connection is not None:
            # A frozen Lambda environment may wake with a connection that the server has closed
            # meanwhile.
            try:
                self._connection.execute("SELECT 1")
                self._connection.rollback()
                return self._connection
            except psycopg.Error:
                self.close()
        config = self._config
        try:
            self._connection = connect(
                config,
                config.database,
                "-c default_transaction_isolation=read\\ committed"
                f" -c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={STATEMENT_TIMEOUT_MS}"
                f" -c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS}",
                autocommit=False,
            )
        except psycopg.OperationalError as exc:
            raise DatabaseUnavailable("the external database does not answer") from exc
        return self._connection
