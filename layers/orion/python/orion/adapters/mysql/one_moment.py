"""Reading more than one statement of the database as of one moment."""

from orion.adapters.mysql.session import Cursor


def see_one_moment(cursor: Cursor) -> None:
    """From here on `cursor` sees what is committed now, whatever is committed later.

    Connections read what is committed at each statement. This ends the transaction that `cursor`
    is in and begins a reading one of its own.
    """
    cursor.execute("COMMIT")
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
