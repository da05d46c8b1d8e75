"""Incidents in `orion_log`, and how a person closes them."""

from datetime import UTC, datetime

from orion.adapters.mysql import outbox
from orion.adapters.mysql.session import Cursor, Database
from orion.ids import fact_id
from orion.log.reconciliation.errors import UnknownIncident
from orion.log.reconciliation.incidents import (
    MAX_LISTED,
    Closing,
    OpenIncident,
    incident_closed,
)
from orion.log.reconciliation.model import Incident


class MySqlIncidents:
    """The port IncidentStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self) -> list[OpenIncident]:
        def ask(cursor: Cursor) -> list[OpenIncident]:
            cursor.execute(
                "SELECT i.incident_id, i.run_id, i.asset, i.freezes, i.differences, i.opened_at,"
                " r.report FROM incident i JOIN run r ON r.run_id = i.run_id"
                " WHERE i.closed_at IS NULL ORDER BY i.opened_at DESC, i.asset LIMIT %s",
                (MAX_LISTED,),
            )
            return [
                OpenIncident(
                    Incident(identity, run, asset, bool(freezes), differences),
                    opened_at.replace(tzinfo=UTC),
                    report,
                )
                for identity, run, asset, freezes, differences, opened_at, report in (
                    cursor.fetchall()
                )
            ]

        return self._database.run(ask)

    def close(self, closing: Closing, trace_id: str, now: datetime) -> Incident:
        return self._database.run(lambda cursor: _close(cursor, closing, trace_id, now))


def _close(cursor: Cursor, closing: Closing, trace_id: str, now: datetime) -> Incident:
    cursor.execute(
        "SELECT run_id, asset, freezes, differences, closed_by, closed_reason FROM incident"
        " WHERE incident_id = %s FOR UPDATE",
        (closing.incident,),
    )
    row = cursor.fetchone()
    if row is None:
        raise UnknownIncident("no incident has this id", incident=closing.incident.hex())
    run, asset, freezes, differences, closed_by, reason = row
    incident = Incident(closing.incident, run, asset, bool(freezes), differences)
    if closed_by is not None:
        if (closed_by, reason) == (closing.by, closing.reason):
            return incident
        raise UnknownIncident("the incident is closed", incident=closing.incident.hex())
    cursor.execute(
        "UPDATE incident SET closed_at = %s, closed_by = %s, closed_reason = %s"
        " WHERE incident_id = %s",
        (now.replace(tzinfo=None), closing.by, closing.reason, closing.incident),
    )
    event = fact_id("incident.closed", closing.incident)
    body = incident_closed(incident, closing, trace_id, now)
    outbox.append(cursor, [outbox.kafka_row("audit.events", "log", body, event)], now)
    return incident
