"""What people type into a field for an amount, read as the one form that amounts have."""

import re

from orion.money import Amount, Asset, MalformedAmount

TYPED_MAX_LENGTH = 80
_DECIMAL_COMMA = re.compile(r"([0-9]+),([0-9]{1,2})", re.ASCII)
# The full-width forms of ASCII (Unicode, "Halfwidth and Fullwidth Forms") and their blank.
# Not NFKC: that would read a superscript as a further digit.
_FULL_WIDTH = {0xFF01 + place: 0x21 + place for place in range(94)} | {0x3000: 0x20}


def typed_amount(text: str, currency: Asset) -> Amount:
    """The positive amount that `text` means, without guessing.

    Full-width digits are folded and blanks around are dropped. A comma followed by one or two
    digits at the end is a decimal comma: "12,5" is 12.50. "1,000" is refused, because it is one to
    some and a thousand to others; so is every grouping.

    Raises MalformedAmount, InexactAmount, AmountNotPositive, AmountTooLarge.
    """
    if len(text) > TYPED_MAX_LENGTH:
        raise MalformedAmount(f"at most {TYPED_MAX_LENGTH} characters", asset=currency.code)
    folded = text.translate(_FULL_WIDTH).strip()
    comma = _DECIMAL_COMMA.fullmatch(folded)
    plain = f"{comma[1]}.{comma[2]}" if comma else folded
    return Amount.parse(plain, currency).positive()
