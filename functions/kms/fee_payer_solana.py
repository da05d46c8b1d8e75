"""Bears the fees of custody messages on Solana, within its float."""

from orion.runtime.kms_signing import fee_payer_handler

handler = fee_payer_handler()
