"""What a custody transaction of Solana orders: payments, written as one message and read back.

An order has exactly one message and a message at most one order: `read_order` collects the values,
`write_order` writes them again, and other bytes are refused. So no byte goes unread.

Tokens and wrapped SOL: the recipient's associated account is made unless it is there, and gets a
TransferChecked. That instruction also names the recipient, who cannot be computed from an
associated account. Plain SOL comes out of wrapped SOL in six or more instructions that happen
together or not at all: a temporary account of the multisig is made with a seed of the fee payer,
gets the sum, is closed to the fee payer (rent and sum), who pays each recipient exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orion.chains.solana.account import NATIVE, holding, is_sister, mints_of
from orion.chains.solana.address import address_of, parse_address
from orion.chains.solana.budget import Budget, read_budget
from orion.chains.solana.curve import is_on_curve
from orion.chains.solana.derived import with_seed
from orion.chains.solana.instructions import (
    allocate_with_seed,
    amount_of,
    close_account,
    create_associated,
    initialize_account,
    is_sol_transfer,
    is_token_transfer,
    lamports_of,
    multisig_authority,
    transfer_sol,
    transfer_tokens,
)
from orion.chains.solana.message import Call, Instruction, Message, compile_message, parse_message
from orion.chains.solana.programs import (
    ASSOCIATED_TOKEN,
    PROGRAMS,
    SYSTEM,
    TOKEN,
    TOKEN_ACCOUNT_BYTES,
    TOKEN_ACCOUNT_RENT,
    UINT64_MAX,
    WRAPPED_SOL,
)
from orion.chains.spend import THRESHOLD, CustodyAccount, Payment, SpendRefused
from orion.money import Asset

TEMPORARY_SEED = "orion/unwrap"
_UNWRAP_HEAD = (SYSTEM, SYSTEM, TOKEN, TOKEN, TOKEN)


@dataclass(frozen=True, slots=True)
class Order:
    """`custodians` are the three that sign, ascending; `payments` in the order of the message:
    tokens and wrapped SOL first, then plain SOL.
    """

    fee_payer: bytes
    custodians: tuple[int, ...]
    blockhash: bytes
    budget: Budget
    payments: tuple[Payment, ...]

    def fee_lamports(self, account: CustodyAccount) -> int:
        """The most that the fee payer can lose: the fee, and the rent of accounts made for
        recipients.
        """
        made = sum(not _is_plain(payment, account) for payment in self.payments)
        return self.budget.fee_lamports(THRESHOLD + 1) + made * TOKEN_ACCOUNT_RENT


def write_order(order: Order, account: CustodyAccount, contracts: Mapping[str, str]) -> bytes:
    """The message of an order. Raises SpendRefused for what `read_order` would refuse, and
    MalformedAddress for a recipient that is none.
    """
    _check_payer(order.fee_payer, account)
    if len(set(order.custodians)) != THRESHOLD or not set(order.custodians) <= set(range(1, 6)):
        raise SpendRefused("three custodians sign", reason="wrong_signers")
    mints = mints_of(contracts)
    by_asset = {token.code: mint for mint, token in mints.items()}
    plain = [payment for payment in order.payments if _is_plain(payment, account)]
    others = [payment for payment in order.payments if not _is_plain(payment, account)]
    if not order.payments:
        raise SpendRefused("nothing is paid", reason="no_payment")
    signers = [account.keys.ed25519[number - 1] for number in sorted(order.custodians)]
    calls: list[Instruction] = [*order.budget.instructions()]
    for payment in (*others, *plain):
        _check_payment(payment, order.fee_payer, account, mints)
    for payment in others:
        mint = by_asset.get(payment.asset)
        if mint is None:
            raise SpendRefused("no such mint", reason="unknown_mint", asset=payment.asset[:40])
        calls += _token_payment(order.fee_payer, account, signers, mint, mints[mint], payment)
    if plain:
        calls += _plain_payments(order.fee_payer, account, signers, plain)
    return compile_message(order.fee_payer, calls, order.blockhash)


def read_order(unsigned: bytes, account: CustodyAccount, contracts: Mapping[str, str]) -> Order:
    """The order of a message. Raises SpendRefused; reasons in docs/chains/solana-custody.md."""
    message = parse_message(unsigned)
    custodians = signing_custodians(message, account)
    mints = mints_of(contracts)
    budget, calls = read_budget(message.calls)
    payments: list[Payment] = []
    authority = (
        parse_address(account.address),
        *(account.keys.ed25519[number - 1] for number in custodians),
    )
    while calls and calls[0].program == ASSOCIATED_TOKEN:
        payments.append(_read_token_payment(calls[:2], account, authority, mints))
        calls = calls[2:]
    if calls:
        payments += _read_plain_payments(calls, message.keys[0], account)
    order = Order(message.keys[0], custodians, message.blockhash, budget, tuple(payments))
    if write_order(order, account, contracts) != unsigned:
        raise SpendRefused("other bytes than this order is written with", reason="not_canonical")
    return order


def signing_custodians(message: Message, account: CustodyAccount) -> tuple[int, ...]:
    """The three custodians whose signatures the message asks for beside the fee payer's.

    Raises SpendRefused (reasons `wrong_signers`, `fee_payer_has_authority`).
    """
    _check_payer(message.keys[0], account)
    numbers = {key: number for number, key in enumerate(account.keys.ed25519, start=1)}
    asked = message.keys[1 : message.signers]
    if len(asked) != THRESHOLD or not all(key in numbers for key in asked):
        raise SpendRefused("a fee payer and three custodians sign", reason="wrong_signers")
    return tuple(sorted(numbers[key] for key in asked))


def _check_payer(fee_payer: bytes, account: CustodyAccount) -> None:
    if fee_payer in account.keys.ed25519 or fee_payer == parse_address(account.address):
        raise SpendRefused("the fee payer is part of it", reason="fee_payer_has_authority")


def _is_plain(payment: Payment, account: CustodyAccount) -> bool:
    """Whether lamports are paid: SOL to anybody but another wallet of the group."""
    if payment.asset != NATIVE.code:
        return False
    return not is_sister(account, parse_address(payment.recipient))


def _check_payment(
    payment: Payment, payer: bytes, account: CustodyAccount, mints: Mapping[bytes, Asset]
) -> None:
    if not 0 < payment.units <= UINT64_MAX:
        raise SpendRefused("no amount of the chain", reason="wrong_amount")
    recipient = parse_address(payment.recipient)
    own = {parse_address(account.address), _temporary(payer), *account.keys.ed25519}
    if recipient in own | PROGRAMS | mints.keys():
        raise SpendRefused("nobody is paid there", reason="recipient_reserved")
    if not is_on_curve(recipient) and not is_sister(account, recipient):
        # A token account given as its owner: what is sent to the account's own associated account
        # can never be moved.
        raise SpendRefused("the recipient has no key", reason="recipient_off_curve")


def _token_payment(
    payer: bytes,
    account: CustodyAccount,
    signers: Sequence[bytes],
    mint: bytes,
    token: Asset,
    payment: Payment,
) -> tuple[Instruction, Instruction]:
    owner, recipient = parse_address(account.address), parse_address(payment.recipient)
    move = transfer_tokens(
        source=holding(owner, mint),
        mint=mint,
        destination=holding(recipient, mint),
        authority=multisig_authority(owner, signers),
        units=payment.units,
        decimals=token.decimals,
    )
    return create_associated(payer, recipient, mint), move


def _plain_payments(
    payer: bytes, account: CustodyAccount, signers: Sequence[bytes], payments: Sequence[Payment]
) -> list[Instruction]:
    owner = parse_address(account.address)
    authority = multisig_authority(owner, signers)
    temporary = _temporary(payer)
    total = sum(payment.units for payment in payments)
    if total > UINT64_MAX:
        raise SpendRefused("no amount of the chain", reason="wrong_amount")
    source = holding(owner, WRAPPED_SOL)
    return [
        transfer_sol(payer, temporary, TOKEN_ACCOUNT_RENT),
        allocate_with_seed(temporary, payer, TEMPORARY_SEED, TOKEN_ACCOUNT_BYTES, TOKEN),
        initialize_account(temporary, WRAPPED_SOL, owner),
        transfer_tokens(source, WRAPPED_SOL, temporary, authority, total, NATIVE.decimals),
        close_account(temporary, payer, authority),
        *(transfer_sol(payer, parse_address(row.recipient), row.units) for row in payments),
    ]


def _temporary(payer: bytes) -> bytes:
    """Where wrapped SOL lies between two instructions. The same for all messages of a fee payer:
    they wait for each other anyway, because each writes the payer's account.
    """
    return with_seed(payer, TEMPORARY_SEED, TOKEN)


def _read_token_payment(
    calls: Sequence[Call],
    account: CustodyAccount,
    authority: tuple[bytes, ...],
    mints: Mapping[bytes, Asset],
) -> Payment:
    if len(calls) != 2 or len(calls[0].accounts) != 6:
        raise SpendRefused("a token payment is two instructions", reason="unknown_instruction")
    made, (move, sources) = calls[0].accounts, (calls[1], calls[1].accounts)
    if move.program != TOKEN or not is_token_transfer(move.data) or len(sources) < 4:
        raise SpendRefused("not a checked transfer", reason="unknown_instruction")
    recipient, mint = made[2], made[3]
    token = mints.get(mint)
    if token is None or sources[1] != mint:
        raise SpendRefused("no such mint", reason="unknown_mint")
    if move.data[-1] != token.decimals:
        raise SpendRefused("other decimals than the asset's", reason="wrong_decimals")
    if sources[0] != holding(authority[0], mint):
        raise SpendRefused("not the account's tokens", reason="wrong_source")
    if sources[3:] != authority:
        raise SpendRefused("not on the multisig's word", reason="wrong_authority")
    if not sources[2] == made[1] == holding(recipient, mint):
        raise SpendRefused("not the recipient's account", reason="wrong_destination")
    if token == NATIVE and not is_sister(account, recipient):
        raise SpendRefused("others are paid in plain SOL", reason="wrapped_recipient")
    return Payment(token.code, _recipient(recipient), amount_of(move.data))


def _read_plain_payments(
    calls: Sequence[Call], payer: bytes, account: CustodyAccount
) -> list[Payment]:
    head, tail = calls[: len(_UNWRAP_HEAD)], calls[len(_UNWRAP_HEAD) :]
    programs = tuple(call.program for call in head)
    if programs != _UNWRAP_HEAD or not tail or not is_token_transfer(head[3].data):
        raise SpendRefused("no payment that is known", reason="unknown_instruction")
    found = []
    for call in tail:
        known = call.program == SYSTEM and is_sol_transfer(call.data) and len(call.accounts) == 2
        if not known or call.accounts[0] != payer:
            raise SpendRefused("no payment that is known", reason="unknown_instruction")
        recipient = call.accounts[1]
        if is_sister(account, recipient):
            raise SpendRefused("a multisig keeps plain SOL for ever", reason="plain_to_custody")
        found.append(Payment(NATIVE.code, _recipient(recipient), lamports_of(call.data)))
    if amount_of(head[3].data) != sum(payment.units for payment in found):
        raise SpendRefused("more or less is unwrapped than paid", reason="wrong_amount")
    return found


def _recipient(key: bytes) -> str:
    if key == SYSTEM:
        raise SpendRefused("nobody is paid there", reason="recipient_reserved")
    return address_of(key)
