"""What a merchant's new invoices take where their request says nothing."""

from dataclasses import dataclass

from orion.billing.errors import LimitOutOfRange

TOLERANCE_BPS_MAX = 1_000
EXPIRES_IN_S_DEFAULT = 900
EXPIRES_IN_S_MAX = 30 * 86_400


@dataclass(frozen=True, slots=True)
class MerchantSettings:
    """`tolerance_bps` basis points of an invoice may be missing (docs/invoices.md, "Tolerance").

    Raises LimitOutOfRange.
    """

    tolerance_bps: int = 0
    expires_in_s: int = EXPIRES_IN_S_DEFAULT

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance_bps <= TOLERANCE_BPS_MAX:
            raise LimitOutOfRange(
                f"the tolerance is 0 to {TOLERANCE_BPS_MAX} basis points",
                tolerance_bps=self.tolerance_bps,
            )
        if not 1 <= self.expires_in_s <= EXPIRES_IN_S_MAX:
            raise LimitOutOfRange(
                f"an invoice waits 1 to {EXPIRES_IN_S_MAX} seconds", expires_in_s=self.expires_in_s
            )

    def shown(self) -> dict[str, object]:
        """As the API shows them."""
        return {"tolerance_bps": self.tolerance_bps, "expires_in_s": self.expires_in_s}
