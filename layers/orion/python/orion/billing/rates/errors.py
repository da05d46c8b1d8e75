"""Why a merchant's request about rates is refused. A rate that is missing altogether is
`orion.billing.errors.RateUnavailable`.
"""

from orion.errors import OrionError, Retry


class RateStale(OrionError):
    """The providers have not been heard of lately. Nothing is guessed."""

    code = "rate_stale"
    retry = Retry.LATER


class RateDisputed(OrionError):
    """The providers do not agree. Nothing is guessed."""

    code = "rate_disputed"
    retry = Retry.LATER


class RateSettingRefused(OrionError):
    """Sources that there are not or that stand twice, or a spread outside its bounds."""

    code = "rate_setting_refused"
