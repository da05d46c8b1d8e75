"""Incidents that a run opens, and the freezes that go with them, in the caller's transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime

from orion.adapters.mysql import outbox
from orion.adapters.mysql.session import Cursor
from orion.ids import fact_id
from orion.log.reconciliation.incidents import incident_opened, incident_raised
from orion.log.reconciliation.model import Incident, Run
from orion.log.reconciliation.report import COINS


def of_run(cursor: Cursor, run: bytes) -> tuple[Incident, ...]:
    """What a run has opened so far, by asset."""
    cursor.execute(
        "SELECT incident_id, asset, freezes, differences FROM incident WHERE run_id = %s"
        " ORDER BY asset LIMIT %s",
        (run, len(COINS)),
    )
    return tuple(
        Incident(identity, run, asset, bool(freezes), differences)
        for identity, asset, freezes, differences in cursor.fetchall()
    )


def open_all(cursor: Cursor, run: Run, wanted: Sequence[Incident], now: datetime) -> None:
    """Open what is not open yet, and freeze. The run's row is locked by the caller.

    An incident that froze nothing and now should is raised: the asset is frozen, and what a person
    said about it before is taken back. One that freezes already stays as it is, also where its
    freeze was lifted since.
    """
    known = {incident.id: incident for incident in of_run(cursor, run.id)}
    opened = [each for each in wanted if each.id not in known]
    raised = [
        each for each in wanted if each.freezes and each.id in known and not known[each.id].freezes
    ]
    at = now.astimezone(UTC).replace(tzinfo=None)
    if opened:
        cursor.executemany(
            "INSERT INTO incident (incident_id, run_id, asset, freezes, differences, opened_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [(i.id, i.run, i.asset, i.freezes, i.differences, at) for i in opened],
        )
    for incident in raised:
        cursor.execute(
            "UPDATE incident SET freezes = 1, closed_at = NULL, closed_by = NULL,"
            " closed_reason = NULL WHERE incident_id = %s",
            (incident.id,),
        )
    freezing = [(each.asset, each.id, at) for each in (*opened, *raised) if each.freezes]
    if freezing:
        cursor.executemany(
            "INSERT INTO orion_ledger.asset_freeze (asset, incident_id, opened_at)"
            " VALUES (%s, %s, %s)",
            freezing,
        )
    events = [
        *((incident_opened(each, run, now), "incident.opened", each.id) for each in opened),
        *((incident_raised(each, run, now), "incident.raised", each.id) for each in raised),
    ]
    if events:
        outbox.append(
            cursor,
            [
                outbox.kafka_row("audit.events", "log", body, fact_id(action, identity))
                for body, action, identity in events
            ],
            now,
        )


def recount(cursor: Cursor, incidents: Sequence[Incident]) -> None:
    """Say of open incidents how many differences their run came to."""
    for incident in incidents:
        cursor.execute(
            "UPDATE incident SET differences = %s WHERE incident_id = %s",
            (incident.differences, incident.id),
        )
