"""Why the external book's writer stops a partition. A person has to look; nothing is skipped."""

from orion.errors import OrionError


class BookDiffers(OrionError):
    """A record says of a number, or of a transfer's id, something else than the book does."""

    code = "book_differs"


class OffsetsWentBack(OrionError):
    """A new record came under an offset that was taken: was the topic made anew?"""

    code = "offsets_went_back"
