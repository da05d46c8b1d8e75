"""One transaction in one block: checks, charges, effect, and what is told about it afterwards.

The order is that of java-tron's Wallet.broadcastTransaction and Manager.processTransaction:
duplicate, signatures, reference block, size and expiry, bandwidth, fees for several signatures and
a memo, then the contract.
"""

from dataclasses import dataclass

from infra.local.tron import addresses
from infra.local.tron.accounts import Account, read_account, write_account
from infra.local.tron.actuators import ACTUATORS, Context
from infra.local.tron.blocks import read_block
from infra.local.tron.contracts import Executed, Order, execute
from infra.local.tron.evm import Evm
from infra.local.tron.parameters import (
    CHAIN,
    EXPIRATION_MAX_MS,
    RESULT_BYTES,
    TAPOS_BLOCKS,
    TRANSACTION_BYTES_MAX,
)
from infra.local.tron.permissions import check_signatures
from infra.local.tron.refusals import Code, Refused, invalid
from infra.local.tron.resources import Receipt, burn, charge_bandwidth
from infra.local.tron.state import Session, View, dump
from infra.local.tron.transactions import Transaction
from infra.local.tron.wire import number, octets

_SMART = frozenset({"CreateSmartContract", "TriggerSmartContract"})


@dataclass(frozen=True, slots=True)
class Head:
    """The block on which a transaction is judged."""

    height: int
    time_ms: int


def transaction_key(txid: bytes) -> str:
    """Where the state keeps the block of a transaction."""
    return f"transaction/{txid.hex()}"


def info_key(txid: bytes) -> str:
    """Where the state keeps what gettransactioninfobyid tells, addresses in hex."""
    return f"info/{txid.hex()}"


def _check_reference(view: View, head: Head, transaction: Transaction) -> None:
    low = octets(transaction.raw, "ref_block_bytes")
    height = (head.height & ~0xFFFF) | int.from_bytes(low, "big")
    if height > head.height:
        height -= TAPOS_BLOCKS
    block = read_block(view, height) if len(low) == 2 and height >= 0 else None
    if block is None or block.block_id[8:16] != octets(transaction.raw, "ref_block_hash"):
        raise Refused(Code.TAPOS_ERROR, "Tapos check error.")


def check(view: View, head: Head, transaction: Transaction) -> None:
    """All that is checked before anything is charged. Raises Refused."""
    if view.get(transaction_key(transaction.txid)) is not None:
        raise Refused(Code.DUP_TRANSACTION_ERROR, "Dup transaction.")
    _check_signatures(view, transaction)
    _check_reference(view, head, transaction)
    if len(transaction.encoded) > TRANSACTION_BYTES_MAX:
        raise Refused(Code.TOO_BIG_TRANSACTION_ERROR, "Transaction size is too big.")
    expiration = number(transaction.raw, "expiration")
    if not head.time_ms < expiration <= head.time_ms + EXPIRATION_MAX_MS:
        raise Refused(Code.TRANSACTION_EXPIRATION_ERROR, "Transaction expired")


def _check_signatures(view: View, transaction: Transaction) -> None:
    # An account that does not exist has the permissions that it would be born with.
    account = read_account(view, transaction.owner) or Account(transaction.owner.hex())
    check_signatures(
        account,
        permission_id=transaction.permission_id,
        contract_type=transaction.contract_type,
        txid=transaction.txid,
        signatures=transaction.signatures,
    )


def _activates(view: View, transaction: Transaction) -> bool:
    if transaction.kind == "AccountCreateContract":
        return True
    to = octets(transaction.contract, "to_address")
    return transaction.kind == "TransferContract" and read_account(view, to) is None


def _charge(session: Session, transaction: Transaction, context: Context) -> Receipt:
    receipt = Receipt()
    account = read_account(session, transaction.owner)
    if account is None:
        shown = addresses.shown(transaction.owner, visible=True)
        raise invalid(f"account [{shown}] does not exist")
    size_bytes = len(transaction.encoded) + RESULT_BYTES
    charge_bandwidth(
        session,
        account,
        size_bytes,
        context.slot,
        receipt,
        activates=_activates(session, transaction),
    )
    if len(transaction.signatures) > 1:
        receipt.other_fee += CHAIN["getMultiSignFee"]
        burn(account, CHAIN["getMultiSignFee"])
    if octets(transaction.raw, "data"):
        receipt.other_fee += CHAIN["getMemoFee"]
        burn(account, CHAIN["getMemoFee"])
    account.operated_ms = context.time_ms
    write_account(session, account)
    return receipt


def apply(
    evm: Evm, session: Session, head: Head, transaction: Transaction, context: Context
) -> str:
    """Put the transaction into the block that the session makes; answers how it ended.

    Raises Refused; the session is then to be thrown away.
    """
    check(session, head, transaction)
    receipt = _charge(session, transaction, context)
    executed: Executed | None = None
    if transaction.kind in _SMART:
        order = Order(
            transaction.kind,
            transaction.contract,
            transaction.txid,
            number(transaction.raw, "fee_limit"),
        )
        executed = execute(evm, session, order, context, receipt)
    else:
        ACTUATORS[transaction.kind](session, transaction.contract, context, receipt)
    result = executed.result if executed is not None else "SUCCESS"
    session.put(transaction_key(transaction.txid), str(context.height))
    session.put(info_key(transaction.txid), dump(_info(transaction, context, receipt, executed)))
    return result


def _info(
    transaction: Transaction, context: Context, receipt: Receipt, executed: Executed | None
) -> dict[str, object]:
    """The fields of TransactionInfo, defaults left out."""
    used: dict[str, object] = {
        "energy_usage": receipt.energy_usage,
        "energy_fee": receipt.energy_fee,
        "origin_energy_usage": receipt.origin_energy_usage,
        "energy_usage_total": receipt.energy_usage_total,
        "net_usage": receipt.net_usage,
        "net_fee": receipt.net_fee,
        "result": receipt.result,
    }
    info: dict[str, object] = {
        "id": transaction.txid.hex(),
        "fee": receipt.fee,
        "blockNumber": context.height,
        "blockTimeStamp": context.time_ms,
        "contractResult": [executed.outcome.output.hex() if executed is not None else ""],
        "receipt": {name: value for name, value in used.items() if value},
    }
    if executed is not None:
        info["contract_address"] = executed.address.hex()
        info["log"] = list(executed.outcome.logs) if executed.result == "SUCCESS" else []
        info["internal_transactions"] = (
            list(executed.outcome.internal) if executed.result == "SUCCESS" else []
        )
        if executed.result != "SUCCESS":
            info["result"] = "FAILED"
            info["resMessage"] = executed.message.encode().hex()
    return {name: value for name, value in info.items() if value or name == "receipt"}
