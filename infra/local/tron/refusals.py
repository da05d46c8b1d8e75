"""Why a transaction is refused, in the words and codes of java-tron's GrpcAPI.Return."""

from enum import StrEnum


class Code(StrEnum):
    """response_code of api.proto; the spelling of BANDWITH_ERROR is the protocol's."""

    SIGERROR = "SIGERROR"
    CONTRACT_VALIDATE_ERROR = "CONTRACT_VALIDATE_ERROR"
    CONTRACT_EXE_ERROR = "CONTRACT_EXE_ERROR"
    BANDWITH_ERROR = "BANDWITH_ERROR"
    DUP_TRANSACTION_ERROR = "DUP_TRANSACTION_ERROR"
    TAPOS_ERROR = "TAPOS_ERROR"
    TOO_BIG_TRANSACTION_ERROR = "TOO_BIG_TRANSACTION_ERROR"
    TRANSACTION_EXPIRATION_ERROR = "TRANSACTION_EXPIRATION_ERROR"
    SERVER_BUSY = "SERVER_BUSY"
    OTHER_ERROR = "OTHER_ERROR"


_PREFIX = {
    Code.SIGERROR: "Validate signature error: ",
    Code.CONTRACT_VALIDATE_ERROR: "Contract validate error : ",
    Code.CONTRACT_EXE_ERROR: "Contract execute error : ",
}


class Refused(Exception):
    """A transaction that the chain does not take; `detail` is what the validator said."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    @property
    def message(self) -> str:
        """The text of the broadcast's answer."""
        return _PREFIX.get(self.code, "") + self.detail


def invalid(detail: str) -> Refused:
    """A contract that does not validate (ContractValidateException)."""
    return Refused(Code.CONTRACT_VALIDATE_ERROR, detail)


def insufficient() -> Refused:
    """Neither resources nor TRX to burn for them (AccountResourceInsufficientException)."""
    return Refused(Code.BANDWITH_ERROR, "Account resource insufficient error.")
