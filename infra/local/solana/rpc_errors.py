"""Error answers with the codes of Agave's RPC (rpc-client-api, custom_error.rs)."""

from infra.local.solana.model import Json

PARSE_ERROR = -32_700
INVALID_REQUEST = -32_600
METHOD_NOT_FOUND = -32_601
INVALID_PARAMS = -32_602
INTERNAL_ERROR = -32_603
BLOCK_CLEANED_UP = -32_001
PREFLIGHT_FAILURE = -32_002
SIGNATURE_VERIFICATION_FAILURE = -32_003
BLOCK_NOT_AVAILABLE = -32_004
NODE_UNHEALTHY = -32_005
SLOT_SKIPPED = -32_007
SCAN_ERROR = -32_012
UNSUPPORTED_TRANSACTION_VERSION = -32_015
MIN_CONTEXT_SLOT_NOT_REACHED = -32_016


class RpcError(Exception):
    """An answer with `error` instead of `result`."""

    def __init__(self, code: int, message: str, data: Json = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def body(self) -> Json:
        """The value of `error` in the answer."""
        body = {"code": self.code, "message": self.message}
        return body if self.data is None else {**body, "data": self.data}


def invalid(message: str) -> RpcError:
    """Invalid params, with the reason after it."""
    return RpcError(INVALID_PARAMS, f"Invalid param: {message}")


def cleaned_up(slot: int, first: int) -> RpcError:
    return RpcError(
        BLOCK_CLEANED_UP,
        f"Block {slot} cleaned up, does not exist on node. First available block: {first}",
    )


def not_available(slot: int) -> RpcError:
    return RpcError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")


def skipped(slot: int) -> RpcError:
    return RpcError(
        SLOT_SKIPPED,
        f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot",
    )


def unsupported_version(version: int) -> RpcError:
    return RpcError(
        UNSUPPORTED_TRANSACTION_VERSION,
        f"Transaction version ({version}) is not supported by the requesting client. Please try "
        "the request again with the following configuration parameter: "
        f'"maxSupportedTransactionVersion": {version}',
    )
