"""Bears the fees of Safe transactions of custody accounts on Ethereum, within its float."""

from orion.runtime.kms_signing import executor_handler

handler = executor_handler()
