"""What operators and merchants can be told about fees."""

from orion.errors import OrionError


class MalformedFeePlan(OrionError):
    """A plan that is not of the form in docs/fees.md; `field` names the part."""

    code = "malformed_fee_plan"


class MalformedFeeCall(OrionError):
    """A call of an operator that is not of the form in docs/fees.md; `field` names the part."""

    code = "malformed_fee_call"


class SelfReferral(OrionError):
    """A merchant cannot refer himself."""

    code = "self_referral"


class ReferralExists(OrionError):
    """Another merchant has referred this one: a referral is stored once."""

    code = "referral_exists"


class ReferralCycle(OrionError):
    """The referrer was referred, directly or through others, by this merchant."""

    code = "referral_cycle"


class ReferralTooDeep(OrionError):
    """The referrer stands at the end of as many referrals as are walked up."""

    code = "referral_too_deep"


class UnknownMerchant(OrionError):
    """No merchant has this id; `field` says whose."""

    code = "unknown_merchant"


class HouseRatesUnreadable(OrionError):
    """What an invoice keeps of the rates of the house is not of its form: somebody changed it."""

    code = "house_rates_unreadable"


class FeeOfAnotherMerchant(OrionError):
    """A final credit of one merchant names an invoice of another: two databases disagree."""

    code = "fee_of_another_merchant"
