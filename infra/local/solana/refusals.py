"""The runtime's transaction errors in words, as the RPC of Agave writes them.

Source: Display of TransactionError and InstructionError, crates solana-transaction-error and
solana-instruction-error.
"""

from infra.local.solana.model import Json

_TRANSACTION = {
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "ProgramAccountNotFound": "Attempt to load a program that does not exist",
    "InsufficientFundsForFee": "Insufficient funds for fee",
    "InvalidAccountForFee": "This account may not be used to pay transaction fees",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "SignatureFailure": "Transaction did not pass signature verification",
    "InvalidProgramForExecution": "This program may not be used for executing instructions",
    "SanitizeFailure": "Transaction failed to sanitize accounts offsets correctly",
    "AccountLoadedTwice": "Account loaded twice",
    "AddressLookupTableNotFound": ("Transaction loads an address table account that doesn't exist"),
    "InvalidAddressLookupTableOwner": (
        "Transaction loads an address table account with an invalid owner"
    ),
    "InvalidAddressLookupTableData": (
        "Transaction loads an address table account with invalid data"
    ),
    "InvalidAddressLookupTableIndex": "Transaction address table lookup uses an invalid index",
}
_INSTRUCTION = {
    "GenericError": "generic instruction error",
    "InvalidArgument": "invalid program argument",
    "InvalidInstructionData": "invalid instruction data",
    "InvalidAccountData": "invalid account data for instruction",
    "AccountDataTooSmall": "account data too small for instruction",
    "InsufficientFunds": "insufficient funds for instruction",
    "IncorrectProgramId": "incorrect program id for instruction",
    "MissingRequiredSignature": "missing required signature for instruction",
    "AccountAlreadyInitialized": "instruction requires an uninitialized account",
    "UninitializedAccount": "instruction requires an initialized account",
    "NotEnoughAccountKeys": "insufficient account keys for instruction",
    "ReadonlyLamportChange": "instruction changed the balance of a read-only account",
    "ExternalAccountLamportSpend": (
        "instruction spent from the balance of an account it does not own"
    ),
    "InvalidAccountOwner": "Invalid account owner",
    "ComputationalBudgetExceeded": "Computational budget exceeded",
    "ProgramFailedToComplete": "Program failed to complete",
    "IllegalOwner": "Provided owner is not allowed",
    "AccountNotRentExempt": ("An account does not have enough lamports to be rent-exempt"),
}


class Refused(Exception):
    """A transaction that the runtime turns away without a fee; nothing changed."""

    def __init__(self, error: Json) -> None:
        super().__init__(in_words(error))
        self.error = error


def in_words(error: Json) -> str:
    """A TransactionError in its JSON form as a sentence; its name where no words are known."""
    if isinstance(error, str):
        return _TRANSACTION.get(error, error)
    kind, detail = next(iter(error.items()))
    if kind == "InstructionError":
        index, inner = detail
        return f"Error processing Instruction {index}: {_instruction(inner)}"
    if kind == "InsufficientFundsForRent":
        index = detail["account_index"]
        return f"Transaction results in an account ({index}) with insufficient funds for rent"
    return f"{kind}: {detail}"


def _instruction(error: Json) -> str:
    if isinstance(error, str):
        return _INSTRUCTION.get(error, error)
    kind, detail = next(iter(error.items()))
    return f"custom program error: {detail:#x}" if kind == "Custom" else f"{kind}: {detail}"
