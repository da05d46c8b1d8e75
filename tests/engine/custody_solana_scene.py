"""A group's multisig on the Solana node: five custodians, a fee payer, a whitelisted token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from solana.rpc.commitment import Processed
from solana.rpc.core import RPCException
from solana.rpc.models import TxOpts
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from spl.token.constants import WRAPPED_SOL_MINT
from spl.token.instructions import get_associated_token_address, mint_to, sync_native
from spl.token.models import MintToParams, SyncNativeParams

from orion.chains.solana.account import account
from orion.chains.solana.address import address_of
from orion.chains.solana.budget import Budget
from orion.chains.solana.creation import Creation, write_creation
from orion.chains.solana.custody import assemble, decode, with_fee_payer
from orion.chains.solana.instructions import multisig_authority
from orion.chains.solana.message import Instruction, Meta, compile_message, transaction
from orion.chains.solana.order import Order, write_order
from orion.chains.spend import CustodyAccount, CustodyKeys, CustodyPlace, Payment, WalletKind
from tests.engine.solana_scene import SOL, Scene, pay

BUDGET = Budget(units=200_000, price_micro_lamports=1_000)
FEE_LAMPORTS = BUDGET.fee_lamports(4)
START_SOL = 10
START_UNITS = 1_000_000_000
NATIVE, TOKEN = "SOL.solana", "USDC.solana"


class Key:
    """An Ed25519 key as anybody's library makes one."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    @property
    def pubkey(self) -> Pubkey:
        return Pubkey(self.public)

    @property
    def address(self) -> str:
        return address_of(self.public)


@dataclass(frozen=True, slots=True)
class Vault:
    """`custodians` hold `account`; `payer` is its anchor and pays the fees."""

    scene: Scene
    minter: Keypair
    mint: Pubkey
    payer: Key
    custodians: tuple[Key, ...]
    account: CustodyAccount

    @property
    def contracts(self) -> Mapping[str, str]:
        return {TOKEN: str(self.mint), "USDT.ethereum": "0x" + "11" * 20}

    @property
    def owner(self) -> Pubkey:
        return Pubkey.from_string(self.account.address)

    @property
    def tokens(self) -> Pubkey:
        return get_associated_token_address(self.owner, self.mint)

    @property
    def wrapped(self) -> Pubkey:
        return get_associated_token_address(self.owner, WRAPPED_SOL_MINT)

    async def units(self, holding: Pubkey) -> int:
        """Units in a token account; 0 when there is none."""
        found = await self.scene.client.get_account_info(holding, Processed)
        return 0 if found.value is None else int.from_bytes(found.value.data[64:72], "little")

    async def units_of(self, owner: Pubkey) -> int:
        """Tokens in the associated account of `owner`."""
        return await self.units(get_associated_token_address(owner, self.mint))

    async def blockhash(self) -> bytes:
        return bytes(await self.scene.blockhash())

    async def order(
        self,
        payments: Sequence[Payment],
        custodians: Sequence[int] = (1, 2, 3),
        payer: Key | None = None,
    ) -> bytes:
        """The unsigned message that pays `payments`."""
        order = Order(
            fee_payer=(payer or self.payer).public,
            custodians=tuple(custodians),
            blockhash=await self.blockhash(),
            budget=BUDGET,
            payments=tuple(payments),
        )
        return write_order(order, self.account, self.contracts)

    def signed(
        self, unsigned: bytes, custodians: Sequence[int] = (1, 2, 3), payer: Key | None = None
    ) -> bytes:
        """The transaction, decoded by each custodian before it signs."""
        given = {}
        for number in custodians:
            [message] = decode(unsigned, self.account, self.contracts).messages
            given[number] = (self.custodians[number - 1].sign(message),)
        half = assemble(unsigned, self.account, given)
        return with_fee_payer(half, (payer or self.payer).sign(unsigned))

    async def pay(self, *payments: Payment, custodians: Sequence[int] = (1, 2, 3)) -> bytes:
        """Order, sign and send; answers the transaction."""
        raw = self.signed(await self.order(payments, custodians), custodians)
        await self.post(raw)
        return raw

    async def post(self, raw: bytes, *, preflight: bool = True) -> None:
        options = TxOpts(skip_preflight=not preflight, preflight_commitment=Processed)
        await self.scene.client.send_raw_transaction(raw, options)

    async def refused(self, raw: bytes, why: str) -> None:
        """The node refuses `raw`, saying `why`, and changes nothing."""
        before = await self.state()
        with pytest.raises(RPCException, match=why):
            await self.post(raw)
        assert await self.state() == before

    async def state(self) -> tuple[int, int, int]:
        """Tokens, wrapped SOL, and lamports of the fee payer."""
        lamports = await self.scene.balance(self.payer.pubkey)
        return await self.units(self.tokens), await self.units(self.wrapped), lamports

    async def raw(self, calls: Sequence[Instruction], *signers: Key) -> bytes:
        """A transaction of any instructions, signed by the fee payer and by `signers`."""
        keys = {key.public: key for key in (self.payer, *signers)}
        message = compile_message(self.payer.public, calls, await self.blockhash())
        # The keys that sign stand first behind the header and the count of accounts.
        slots = [message[4 + 32 * at :][:32] for at in range(message[0])]
        return transaction(message, [keys[slot].sign(message) for slot in slots])

    def authority(self, *custodians: int) -> tuple[Meta, ...]:
        """The multisig with any number of its keys."""
        keys = [self.custodians[number - 1].public for number in custodians]
        return multisig_authority(bytes(self.owner), keys)

    async def create(self) -> None:
        """Make the multisig and its two token accounts, and fill them."""
        await self.post(await self.creation())
        await self.fill()

    async def creation(self) -> bytes:
        """The signed transaction that makes everything."""
        creation = Creation(
            fee_payer=self.payer.public,
            blockhash=await self.blockhash(),
            budget=BUDGET,
            multisig=True,
            mints=tuple(sorted((bytes(self.mint), bytes(WRAPPED_SOL_MINT)))),
        )
        unsigned = write_creation(creation, self.account, self.contracts)
        return with_fee_payer(transaction(unsigned, [bytes(64)]), self.payer.sign(unsigned))

    async def fill(self) -> None:
        """Tokens, and SOL in its deposit form: sent to the wrapped account, then counted."""
        deposit = MintToParams(
            program_id=self.program,
            mint=self.mint,
            dest=self.tokens,
            mint_authority=self.minter.pubkey(),
            amount=START_UNITS,
        )
        sync = SyncNativeParams(program_id=self.program, account=self.wrapped)
        calls = [mint_to(deposit), pay(self.minter, self.wrapped, START_SOL * SOL)]
        await self.scene.send([*calls, sync_native(sync)], self.minter)

    @property
    def program(self) -> Pubkey:
        return Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")

    def sister(self, set_no: int, custodians: Sequence[Key]) -> "Vault":
        """The account of another custody set for the same wallet."""
        place = self.account.place
        moved = account(
            CustodyPlace(place.chain, place.network, place.group_no, place.kind, set_no),
            custody_keys(custodians),
            self.account.anchor,
        )
        return Vault(self.scene, self.minter, self.mint, self.payer, tuple(custodians), moved)


def custody_keys(custodians: Sequence[Key]) -> CustodyKeys:
    """A set as Solana looks at it: its secp256k1 keys are other chains' matter."""
    secp = tuple(bytes([2]) + bytes([number] * 32) for number in range(1, 6))
    return CustodyKeys(secp256k1=secp, ed25519=tuple(key.public for key in custodians))


async def new_vault(scene: Scene, *, created: bool = True) -> Vault:
    """A vault of group 7, hot, set 1; with `created` it is on the chain, filled and final."""
    minter, payer = await scene.funded(1_000), Key()
    await scene.client.request_airdrop(payer.pubkey, 10 * SOL)
    mint = await scene.token(minter)
    custodians = tuple(Key() for _ in range(5))
    place = CustodyPlace("solana", "localnet", 7, WalletKind.HOT, 1)
    held = account(place, custody_keys(custodians), payer.address)
    vault = Vault(scene, minter, mint, payer, custodians, held)
    if created:
        await vault.create()
    return vault
