"""What people type into a field for an amount, read as the one form that amounts have."""

import re
import unicodedata

from orion.money import Amount, Asset

TYPED_MAX_LENGTH = 80
_DECIMAL_COMMA = re.compile(r"([0-9]+),([0-9]{1,2})", re.ASCII)


def typed_amount(text: str, currency: Asset) -> Amount:
    """The positive amount that `text` means, without guessing.

    Full-width digits are folded (NFKC) and blanks around are dropped. A comma followed by one or
    two digits at the end is a decimal comma: "12,5" is 12.50. "1,000" is refused, because it is one
    to some and a thousand to others; so is every grouping.

    Raises MalformedAmount, InexactAmount, AmountNotPositive, AmountTooLarge.
    """
    # Folding first: it can only shorten what is compared with the bound by a small factor.
    folded = unicodedata.normalize("NFKC", text[:TYPED_MAX_LENGTH]).strip()
    comma = _DECIMAL_COMMA.fullmatch(folded)
    plain = f"{comma[1]}.{comma[2]}" if comma else folded
    return Amount.parse(plain, currency).positive()
