"""Unsigned Safe transactions, as those who pay or rotate build them for the custodians."""

from collections.abc import Mapping, Sequence

from orion.chains.ethereum.abi import MalformedCall
from orion.chains.ethereum.safe_account import owners_of
from orion.chains.ethereum.safe_calls import (
    BATCH_MAX,
    Call,
    Swap,
    multi_send,
    owners_after,
    payments_of,
    void_call,
)
from orion.chains.ethereum.safe_contracts import SENTINEL, safe_contracts
from orion.chains.ethereum.safe_transaction import (
    CALL,
    DELEGATE_CALL,
    SafeTransaction,
    parse_safe_transaction,
)
from orion.chains.ethereum.token import NATIVE_ASSET, tokens_by_contract, transfer_call
from orion.chains.spend import CustodyAccount, CustodyKeys, Payment, SpendRefused


def propose_payments(
    account: CustodyAccount,
    nonce: int,
    payments: Sequence[Payment],
    contracts: Mapping[str, str],
) -> bytes:
    """The unsigned form of 1 to BATCH_MAX payments, as one call or one multi-send; `nonce` is the
    Safe's. Raises SpendRefused for what no custodian would sign.
    """
    tokens = tokens_by_contract(contracts)
    by_code = {code: contract for contract, code in tokens.items()}
    calls = tuple(_payment_call(payment, by_code) for payment in payments)
    payments_of(calls, account.address, tokens)
    return _proposal(account, nonce, calls)


def propose_rotation(account: CustodyAccount, nonce: int, keys_after: CustodyKeys) -> bytes:
    """The unsigned form of replacing every custodian's key that differs in `keys_after`, each in
    its place. Raises SpendRefused (owners) when nothing differs or an owner would stand twice.
    """
    current = list(owners_of(account.keys))
    calls: list[Call] = []
    for position, new in enumerate(owners_of(keys_after)):
        if new != current[position]:
            previous = current[position - 1] if position else SENTINEL
            calls.append(Swap(previous, current[position], new).call(account.address))
            current[position] = new
    if not calls:
        raise SpendRefused("no key differs", reason="owners")
    owners_after(tuple(calls), account.address, owners_of(account.keys))
    return _proposal(account, nonce, tuple(calls))


def propose_void(account: CustodyAccount, nonce: int) -> bytes:
    """The unsigned form of using up `nonce` of the Safe without paying anybody: whatever else was
    signed for it can never be executed afterwards. Raises SpendRefused (form: not a nonce).
    """
    return _proposal(account, nonce, (void_call(account.address),))


def _payment_call(payment: Payment, contracts: Mapping[str, str]) -> Call:
    try:
        transfer = transfer_call(payment.recipient, payment.units)
    except MalformedCall as exc:
        raise SpendRefused("not a canonical address, or no amount", reason="form") from exc
    if payment.asset == NATIVE_ASSET:
        return Call(payment.recipient, payment.units, b"")
    contract = contracts.get(payment.asset)
    if contract is None:
        raise SpendRefused("no such token on this network", reason="contract")
    return Call(contract, 0, transfer)


def _proposal(account: CustodyAccount, nonce: int, calls: tuple[Call, ...]) -> bytes:
    if not 1 <= len(calls) <= BATCH_MAX:
        raise SpendRefused("a batch has 1 to 50 calls", reason="batch")
    call, operation = calls[0], CALL
    if len(calls) > 1:
        call = Call(safe_contracts().multi_send, 0, multi_send(calls))
        operation = DELEGATE_CALL
    chain_id = int(account.place.network)
    unsigned = SafeTransaction(
        chain_id, account.address, call.to, call.value, call.data, operation, nonce
    ).encode()
    parse_safe_transaction(unsigned)
    return unsigned
