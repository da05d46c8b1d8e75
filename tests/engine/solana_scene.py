"""A customer of the Solana node, through solana-py's real client and SPL's own instructions."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Processed
from solana.rpc.core import RPCException
from solana.rpc.models import TxOpts
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.rpc.errors import SendTransactionPreflightFailureMessage
from solders.signature import Signature
from solders.system_program import (
    CreateAccountParams,
    TransferParams,
    create_account,
    transfer,
)
from solders.transaction import VersionedTransaction
from spl.token.constants import TOKEN_PROGRAM_ID
from spl.token.instructions import (
    create_associated_token_account,
    get_associated_token_address,
    initialize_mint2,
    mint_to,
)
from spl.token.models import InitializeMint2Params, MintToParams

from infra.local.json_rpc import number, record
from infra.local.solana_node import Solana

SOL = 10**9
DECIMALS = 6
_MINT_BYTES = 82


@dataclass(frozen=True, slots=True)
class Scene:
    """`client` asks and preflights at processed unless a call says otherwise."""

    node: Solana
    client: AsyncClient

    def advance(self, slots: int = 1) -> int:
        """Close slots; answers the open one."""
        return number(self.node.rpc.call("local_advance", slots))

    async def funded(self, sol: int = 100) -> Keypair:
        """A new key with money, final already."""
        key = Keypair()
        await self.client.request_airdrop(key.pubkey(), sol * SOL)
        self.advance(32)
        return key

    async def blockhash(self) -> Hash:
        return (await self.client.get_latest_blockhash(Processed)).value.blockhash

    async def balance(self, key: Pubkey) -> int:
        """Lamports of `key` in the open slot."""
        return (await self.client.get_balance(key, Processed)).value

    def is_valid(self, blockhash: Hash) -> bool:
        """Whether a transaction may still use `blockhash`; solana-py lacks the call."""
        level = {"commitment": "processed"}
        answer = self.node.rpc.call("isBlockhashValid", str(blockhash), level)
        return record(answer)["value"] is True

    async def fee_lamports(self, transaction: VersionedTransaction) -> int | None:
        """The fee as foretold; None when the blockhash has expired."""
        message = transaction.message
        if not isinstance(message, MessageV0):
            raise TypeError("a version 0 message")
        return (await self.client.get_fee_for_message(message)).value

    async def signed(
        self,
        calls: Sequence[Instruction],
        signers: Sequence[Keypair],
        *,
        tables: Sequence[AddressLookupTableAccount] = (),
        blockhash: Hash | None = None,
    ) -> VersionedTransaction:
        """A version 0 transaction whose payer is the first signer."""
        recent = blockhash or await self.blockhash()
        message = MessageV0.try_compile(signers[0].pubkey(), calls, tables, recent)
        return VersionedTransaction(message, list(signers))

    async def send(self, calls: Sequence[Instruction], *signers: Keypair) -> Signature:
        """Sign with `signers` (the first pays) and send."""
        return await self.post(await self.signed(calls, signers))

    async def post(self, transaction: VersionedTransaction, *, preflight: bool = True) -> Signature:
        options = TxOpts(skip_preflight=not preflight, preflight_commitment=Processed)
        answer = await self.client.send_raw_transaction(bytes(transaction), options)
        return answer.value

    async def rent(self, size_bytes: int) -> int:
        return (await self.client.get_minimum_balance_for_rent_exemption(size_bytes)).value

    async def create(
        self, payer: Keypair, account: Keypair, size_bytes: int, owner: Pubkey
    ) -> Instruction:
        """The instruction that makes `account` with `size_bytes`, free of rent."""
        return create_account(
            CreateAccountParams(
                from_pubkey=payer.pubkey(),
                to_pubkey=account.pubkey(),
                lamports=await self.rent(size_bytes),
                space=size_bytes,
                owner=owner,
            )
        )

    async def token(self, payer: Keypair, program: Pubkey = TOKEN_PROGRAM_ID) -> Pubkey:
        """A new mint with six decimals whose authority is `payer`."""
        mint = Keypair()
        make = initialize_mint2(
            InitializeMint2Params(
                program_id=program,
                mint=mint.pubkey(),
                decimals=DECIMALS,
                mint_authority=payer.pubkey(),
            )
        )
        create = await self.create(payer, mint, _MINT_BYTES, program)
        await self.send([create, make], payer, mint)
        return mint.pubkey()

    async def holding(
        self,
        payer: Keypair,
        mint: Pubkey,
        owner: Pubkey,
        units: int = 0,
        program: Pubkey = TOKEN_PROGRAM_ID,
    ) -> Pubkey:
        """The associated account of `owner`, made and given `units` by the mint's authority."""
        account = get_associated_token_address(owner, mint, program)
        calls = [create_associated_token_account(payer.pubkey(), owner, mint, program)]
        if units:
            calls.append(
                mint_to(
                    MintToParams(
                        program_id=program,
                        mint=mint,
                        dest=account,
                        mint_authority=payer.pubkey(),
                        amount=units,
                    )
                )
            )
        await self.send(calls, payer)
        return account


def error_of(caught: pytest.ExceptionInfo[RPCException]) -> object:
    """The TransactionError with which preflight refused."""
    found = caught.value.args[0]
    assert isinstance(found, SendTransactionPreflightFailureMessage)
    return found.data.err


def pay(source: Keypair, to: Pubkey, lamports: int) -> Instruction:
    """A plain transfer of SOL."""
    return transfer(TransferParams(from_pubkey=source.pubkey(), to_pubkey=to, lamports=lamports))


def play(node: Solana, story: Callable[[Scene], Awaitable[None]]) -> None:
    """Run `story` with a client of its own."""

    async def run() -> None:
        async with AsyncClient(node.http_url, commitment=Processed) as client:
            await story(Scene(node, client))

    asyncio.run(run())
