"""Conditions of the log module."""

from orion.errors import OrionError, Retry


class MalformedAuditEvent(OrionError):
    """A record of `audit.events` that is no audit event of version 1. `field` names what is
    wrong.
    """

    code = "malformed_audit_event"


class SegmentUnreadable(OrionError):
    """A stored segment cannot be read: it was not written by this module, or was damaged since."""

    code = "segment_unreadable"


class SegmentStoreUnavailable(OrionError):
    """The segment store does not answer. A segment may have been written: repeat the same batch."""

    code = "segment_store_unavailable"
    retry = Retry.SAME_KEY


class SegmentContended(OrionError):
    """Other writers of the same partition kept winning. Nothing is lost: repeat the batch."""

    code = "segment_contended"
    retry = Retry.LATER


class GapInBook(OrionError):
    """A number of the shard is missing before this record. Its partition stops; nothing is skipped,
    and a person must look.
    """

    code = "gap_in_book"


class ForeignShard(OrionError):
    """A record of one shard came on the partition of another. The partition stops."""

    code = "foreign_shard"


class LogSignerUnavailable(OrionError):
    """KMS does not answer, or wants fewer calls. Nothing was told to anybody: repeat the batch."""

    code = "log_signer_unavailable"
    retry = Retry.SAME_KEY


class LogSignerRefused(OrionError):
    """KMS does not let this function use its key, or the key is not on P-256, or its signature
    does not verify.
    """

    code = "log_signer_refused"
