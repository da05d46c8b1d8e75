"""Why the external book's writer stops a partition. A person has to look; nothing is skipped."""

from orion.errors import OrionError


class BookDiffers(OrionError):
    """A record says of a number, or of a transfer's id, something else than the book does."""

    code = "book_differs"


class ForeignShard(OrionError):
    """A record of one shard came on the partition of another."""

    code = "foreign_shard"


class OffsetsWentBack(OrionError):
    """A new record came under an offset that was taken: was the topic made anew?"""

    code = "offsets_went_back"
