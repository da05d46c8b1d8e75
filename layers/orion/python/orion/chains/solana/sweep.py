"""Sweeps: what derived wallets were paid, moved to their group's multisig.

One message sweeps one asset out of one or more wallets. It makes the multisig's associated account
unless it is there, which also names the multisig, then moves SOL there by system transfers, counted
by SyncNative, or tokens by TransferChecked. A fee payer may pay; then no wallet needs lamports.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orion.chains.solana.account import NATIVE, holding, mints_of
from orion.chains.solana.address import address_of, check_network
from orion.chains.solana.budget import Budget, read_budget
from orion.chains.solana.instructions import (
    amount_of,
    create_associated,
    is_sol_transfer,
    is_token_transfer,
    lamports_of,
    sync_native,
    transfer_sol,
    transfer_tokens,
)
from orion.chains.solana.message import (
    SIGNATURE_BYTES,
    Call,
    Instruction,
    Message,
    Meta,
    compile_message,
    parse_message,
    transaction,
)
from orion.chains.solana.programs import (
    ASSOCIATED_TOKEN,
    PROGRAMS,
    SYSTEM,
    TOKEN,
    TOKEN_ACCOUNT_RENT,
    UINT64_MAX,
    WRAPPED_SOL,
)
from orion.chains.solana.signatures import signature_holds
from orion.chains.spend import Curve, Operation, Payment, SignatureRefused, Spend, SpendRefused


@dataclass(frozen=True, slots=True)
class Sweep:
    """`units` of `mint` (wrapped SOL: lamports) from each of `owners`, ascending by their bytes
    except for a wallet that pays the fee, to `recipient`, a multisig's address.
    """

    fee_payer: bytes
    blockhash: bytes
    budget: Budget
    mint: bytes
    recipient: bytes
    owners: tuple[bytes, ...]
    units: tuple[int, ...]

    @property
    def fee_lamports(self) -> int:
        """The most that the payer can lose: the fee, and the rent of the multisig's account."""
        signatures = len({self.fee_payer, *self.owners})
        return self.budget.fee_lamports(signatures) + TOKEN_ACCOUNT_RENT


def write_sweep(sweep: Sweep, network: str, contracts: Mapping[str, str]) -> bytes:
    """The message. Raises SpendRefused, UnknownNetwork."""
    check_network(network)
    mints = mints_of(contracts)
    token = mints.get(sweep.mint)
    if token is None:
        raise SpendRefused("no such mint", reason="unknown_mint")
    if not sweep.owners or len(sweep.owners) != len(sweep.units):
        raise SpendRefused("nothing is swept", reason="no_payment")
    if sweep.owners != slots(sweep.owners, sweep.fee_payer):
        raise SpendRefused("not in the order of their signatures", reason="wrong_signers")
    if not all(0 < units <= UINT64_MAX for units in sweep.units):
        raise SpendRefused("no amount of the chain", reason="wrong_amount")
    if sweep.recipient in PROGRAMS | mints.keys() | {*sweep.owners, sweep.fee_payer}:
        raise SpendRefused("no multisig", reason="recipient_reserved")
    target = holding(sweep.recipient, sweep.mint)
    calls: list[Instruction] = [
        *sweep.budget.instructions(),
        create_associated(sweep.fee_payer, sweep.recipient, sweep.mint),
    ]
    for owner, units in zip(sweep.owners, sweep.units, strict=True):
        if token == NATIVE:
            calls.append(transfer_sol(owner, target, units))
        else:
            source, authority = holding(owner, sweep.mint), [Meta(owner, signs=True)]
            calls.append(
                transfer_tokens(source, sweep.mint, target, authority, units, token.decimals)
            )
    if token == NATIVE:
        calls.append(sync_native(target))
    return compile_message(sweep.fee_payer, calls, sweep.blockhash)


def read_sweep(unsigned: bytes, network: str, contracts: Mapping[str, str]) -> Sweep:
    """The sweep that a message is. Raises SpendRefused, UnknownNetwork."""
    message = parse_message(unsigned)
    mints = mints_of(contracts)
    budget, calls = read_budget(message.calls)
    if not calls or calls[0].program != ASSOCIATED_TOKEN or len(calls[0].accounts) != 6:
        raise SpendRefused("names no multisig", reason="unknown_instruction")
    recipient, mint = calls[0].accounts[2], calls[0].accounts[3]
    if mint not in mints:
        raise SpendRefused("no such mint", reason="unknown_mint")
    moves = [_move(call, native=mint == WRAPPED_SOL) for call in _moves(calls[1:], mint)]
    sweep = Sweep(
        fee_payer=message.keys[0],
        blockhash=message.blockhash,
        budget=budget,
        mint=mint,
        recipient=recipient,
        owners=tuple(owner for owner, _ in moves),
        units=tuple(units for _, units in moves),
    )
    if write_sweep(sweep, network, contracts) != unsigned:
        raise SpendRefused("other bytes than this is written with", reason="not_canonical")
    return sweep


def decode_sweep(
    unsigned: bytes, owners: tuple[bytes, ...], network: str, contracts: Mapping[str, str]
) -> Spend:
    """Read a sweep out of exactly `owners`, in the order of their signature slots (`slots`).

    Recipients are reported as the multisig's address. `fee_max_units` is zero when a fee payer
    pays, else what the wallet that pays can lose. Raises SpendRefused, UnknownNetwork.
    """
    sweep = read_sweep(unsigned, network, contracts)
    if sweep.owners != owners:
        raise SpendRefused("other wallets pay", reason="wrong_signers")
    code = mints_of(contracts)[sweep.mint].code
    recipient = address_of(sweep.recipient)
    return Spend(
        operation=Operation.PAY,
        payments=tuple(Payment(code, recipient, units) for units in sweep.units),
        fee_max_units=sweep.fee_lamports if sweep.fee_payer in owners else 0,
        claims=(),
        version=hashlib.sha256(unsigned).hexdigest(),
        curve=Curve.ED25519,
        messages=(unsigned,),
    )


def slots(owners: Sequence[bytes], fee_payer: bytes) -> tuple[bytes, ...]:
    """`owners` in the order in which a sweep lists and signs them."""
    return tuple(sorted(set(owners), key=lambda owner: (owner != fee_payer, owner)))


def assemble_sweep(
    unsigned: bytes, owners: tuple[bytes, ...], network: str, signatures: tuple[bytes, ...]
) -> bytes:
    """The transaction with one signature for each of `owners`. A fee payer that is no owner has a
    slot of zeros until `with_fee_payer`.

    Raises SpendRefused (no message of these owners), SignatureRefused, UnknownNetwork.
    """
    check_network(network)
    message = parse_message(unsigned)
    asked = _asked(message, owners)
    if len(signatures) != len(owners):
        raise SignatureRefused("one signature for each wallet")
    for owner, signature in zip(owners, signatures, strict=True):
        if not signature_holds(owner, unsigned, signature):
            raise SignatureRefused("not this wallet's over this message")
    empty = [bytes(SIGNATURE_BYTES)] * (message.signers - len(asked))
    return transaction(unsigned, [*empty, *signatures])


def _asked(message: Message, owners: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The signers that are wallets. Raises SpendRefused unless they are `owners`."""
    first = 0 if owners and message.keys[0] == owners[0] else 1
    asked = message.keys[first : message.signers]
    if not owners or asked != owners:
        raise SpendRefused("other wallets sign", reason="wrong_signers")
    return asked


def _moves(calls: Sequence[Call], mint: bytes) -> Sequence[Call]:
    """The transfers of a sweep: of SOL, all but the last instruction."""
    if mint != WRAPPED_SOL:
        return calls
    if not calls or calls[-1].program != TOKEN:
        raise SpendRefused("not counted as wrapped SOL", reason="unknown_instruction")
    return calls[:-1]


def _move(call: Call, *, native: bool) -> tuple[bytes, int]:
    """Owner and units of one transfer; where it goes is compared with the whole message."""
    if native and call.program == SYSTEM and is_sol_transfer(call.data) and call.accounts:
        return call.accounts[0], lamports_of(call.data)
    token = not native and call.program == TOKEN and is_token_transfer(call.data)
    if token and len(call.accounts) == 4:
        return call.accounts[3], amount_of(call.data)
    raise SpendRefused("not a transfer to the multisig", reason="unknown_instruction")
