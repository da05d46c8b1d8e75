"""Where transfers stand in the ledger's own book, read by the principal `log`."""

from orion.adapters.mysql.session import Cursor, Database
from orion.log.ledger_book.proving import PostedPlace

_PLACE = "SELECT shard_no, number, position FROM orion_ledger.transfer WHERE id = %s"


class MySqlTransferPlaces:
    """`TransferPlaces` of one stage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def place(self, transfer_id: bytes) -> PostedPlace | None:
        """As the port says."""

        def read(cursor: Cursor) -> PostedPlace | None:
            cursor.execute(_PLACE, (transfer_id,))
            row = cursor.fetchone()
            return None if row is None else PostedPlace(int(row[0]), int(row[1]), int(row[2]))

        return self._database.run(read)
