"""Conditions of the log module."""

from orion.errors import OrionError, Retry


class MalformedAuditEvent(OrionError):
    """A record of `audit.events` that is no audit event of version 1. `field` names what is
    wrong.
    """

    code = "malformed_audit_event"


class SegmentUnreadable(OrionError):
    """A stored segment does not say which offsets it holds: it was not written by this module."""

    code = "segment_unreadable"


class SegmentStoreUnavailable(OrionError):
    """The segment store does not answer. A segment may have been written: repeat the same batch."""

    code = "segment_store_unavailable"
    retry = Retry.SAME_KEY


class SegmentContended(OrionError):
    """Other writers of the same partition kept winning. Nothing is lost: repeat the batch."""

    code = "segment_contended"
    retry = Retry.LATER
