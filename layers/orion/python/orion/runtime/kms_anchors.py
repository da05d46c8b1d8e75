"""How this stage knows the anchors of custody accounts, on the chains where no key tells it."""

from orion.adapters.mysql.kms_signing import MySqlSetKeys
from orion.kms.signing.anchors import Anchors, FeePayerAnchors, NoAnchors, SafeOrigins
from orion.runtime.kms_calls import database
from orion.runtime.settings import settings

SOLANA_FEE_PAYER = "custody/solana-fee-payer"


def anchors_of(chain: str) -> Anchors:
    """The anchors of Bitcoin, Ethereum or Solana."""
    match chain:
        case "ethereum":
            return SafeOrigins(MySqlSetKeys(database()).keys_of)
        case "solana":
            return FeePayerAnchors(lambda: settings().optional(SOLANA_FEE_PAYER))
    return NoAnchors()
