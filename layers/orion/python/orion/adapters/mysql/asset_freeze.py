"""Lifting a freeze, by the ledger's own principal: reconciliation may only open one."""

from datetime import UTC, datetime

from orion.adapters.mysql import outbox
from orion.adapters.mysql.session import Cursor, Database
from orion.ids import fact_id
from orion.ledger.freezes import MAX_LISTED, Freeze, Lifting, UnknownFreeze, freeze_lifted


class MySqlFreezes:
    """The port FreezeStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self) -> list[Freeze]:
        def ask(cursor: Cursor) -> list[Freeze]:
            cursor.execute(
                "SELECT asset, incident_id, opened_at FROM asset_freeze WHERE lifted_at IS NULL"
                " ORDER BY asset, opened_at LIMIT %s",
                (MAX_LISTED,),
            )
            return [
                Freeze(asset, incident, opened_at.replace(tzinfo=UTC))
                for asset, incident, opened_at in cursor.fetchall()
            ]

        return self._database.run(ask)

    def lift(self, lifting: Lifting, trace_id: str, now: datetime) -> None:
        self._database.run(lambda cursor: _lift(cursor, lifting, trace_id, now))


def _lift(cursor: Cursor, lifting: Lifting, trace_id: str, now: datetime) -> None:
    place = (lifting.asset, lifting.incident)
    cursor.execute(
        "SELECT lifted_reason FROM asset_freeze WHERE asset = %s AND incident_id = %s FOR UPDATE",
        place,
    )
    row = cursor.fetchone()
    if row is None:
        raise UnknownFreeze("no freeze of this asset by this incident", asset=lifting.asset)
    if row[0] is not None:
        if row[0] == lifting.written:
            return
        raise UnknownFreeze("the freeze is lifted", asset=lifting.asset)
    cursor.execute(
        "UPDATE asset_freeze SET lifted_at = %s, lifted_reason = %s"
        " WHERE asset = %s AND incident_id = %s",
        (now.replace(tzinfo=None), lifting.written, *place),
    )
    event = fact_id("asset_freeze.lifted", lifting.asset, lifting.incident)
    body = freeze_lifted(lifting, trace_id, now)
    outbox.append(cursor, [outbox.kafka_row("audit.events", "billing", body, event)], now)
