"""Three of five on four chains, by the functions as they are deployed: accounts made at first use,
a payout signed by three custodians, a wallet swept into custody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Processed
from solana.rpc.models import TxOpts
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from spl.token.constants import TOKEN_PROGRAM_ID, WRAPPED_SOL_MINT
from spl.token.instructions import get_associated_token_address, sync_native
from spl.token.models import SyncNativeParams

from infra.local import Stack
from infra.local.contracts.safe import deploy_safe
from infra.local.faucet import EthereumFaucet
from infra.local.json_rpc import record
from orion.chains.bitcoin.psbt_build import Recipient, everything_psbt, payment_psbt
from orion.chains.ethereum import creation as ethereum_creation
from orion.chains.ethereum.safe_proposals import propose_payments
from orion.chains.ethereum.transaction import FeeMarketTransaction
from orion.chains.solana import creation as solana_creation
from orion.chains.solana.budget import Budget
from orion.chains.solana.custody import with_fee_payer
from orion.chains.solana.message import transaction
from orion.chains.solana.order import Order, write_order
from orion.chains.spend import Payment, WalletKind
from orion.chains.tron import building
from orion.chains.tron import creation as tron_creation
from orion.chains.tron.permissions import ACTIVE_PERMISSION_ID
from orion.wallet.addresses import account_of
from tests.e2e.custody_scene import GROUP, Signers, decoded
from tests.e2e.scene import rows
from tests.engine.custodian_scene import encoded
from tests.engine.custody_bitcoin_scene import Chain
from tests.engine.custody_tron_scene import accepted, frame
from tests.engine.solana_scene import SOL, Scene, pay
from tests.engine.tron_scene import TRX, Judge, judging

pytestmark = pytest.mark.e2e

WALLET = 999  # Shops take wallets from the other end.
GWEI, ETHER = 10**9, 10**18
_SAFE_NONCE = "0xaffed0e0"  # Selector of nonce() (Safe.sol).
BUDGET = Budget(units=200_000, price_micro_lamports=1_000)


@pytest.fixture(scope="module")
def signers(running_stack: Stack) -> Signers:
    return Signers(running_stack)


@pytest.fixture
def tron(running_stack: Stack) -> Iterator[Judge]:
    with judging(running_stack.tron) as judge:
        yield judge


def ethereum_address(spki: bytes) -> str:
    """The account of a secp256k1 key as KMS tells it."""
    point = load_der_public_key(spki).public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return "0x" + account_of(point).hex()


def fund(tron: Judge, address: str, amount_sun: int) -> None:
    """TRX from the faucet, in a block."""
    assert tron.pay(tron.faucet, address, amount_sun).get("result") is True
    tron.node.mine()


def run(stack: Stack, story: Callable[[Scene], Awaitable[tuple[int, int]]]) -> tuple[int, int]:
    """Play a story against the stack's Solana node."""

    async def played() -> tuple[int, int]:
        async with AsyncClient(stack.solana.http_url, commitment=Processed) as client:
            return await story(Scene(stack.solana, client))

    return asyncio.run(played())


def wallet_address(stack: Stack, chain: str) -> str:
    """Where a customer would pay the last wallet of the first group."""
    [[address]] = rows(
        stack,
        f"SELECT address FROM orion_moneyin.address WHERE chain = '{chain}'"
        f" AND group_no = {GROUP} AND wallet_index = {WALLET}",
    )
    return str(address)


def test_bitcoin_is_swept_into_custody_and_paid_out_by_three(
    running_stack: Stack, signers: Signers
) -> None:
    chain, account = Chain(running_stack.btcd), signers.account("bitcoin")
    deposit = chain.coin(wallet_address(running_stack, "bitcoin"), 600_000)
    unsigned = everything_psbt([deposit], account.address, "regtest", 2_000)
    chain.send(signers.sweep("bitcoin", unsigned, [WALLET]))
    chain.mine()
    assert chain.unspent_sat(deposit) is None
    vault = chain.coin(account.address, 500_000)
    shop = signers.account("bitcoin", WalletKind.WARM).address

    unsigned = payment_psbt(account, [vault], [Recipient(shop, 90_000)], 1_500)
    instruction = signers.instruction(account, "BTC.bitcoin", shop, 90_000, 1_500)
    txid = chain.send(signers.transaction(account, unsigned, instruction))

    assert txid in chain.mine()
    dearer = signers.request(account, unsigned, instruction | {"units": "90001"})
    refused = signers.ask("custodian-2", dearer)
    assert (refused["outcome"], refused["fields"]["reason"]) == ("refused", "payment_missing")


def test_ethereum_is_swept_into_a_safe_made_by_the_executor_and_paid_out_by_three(
    running_stack: Stack, signers: Signers
) -> None:
    node, account = running_stack.anvil, signers.account("ethereum")
    deploy_safe(node)
    faucet, shop = EthereumFaucet(node), "0x" + "5e" * 20
    wallet = wallet_address(running_stack, "ethereum")
    faucet.fund(wallet, 3 * ETHER)
    key = signers.kms.get_public_key(KeyId="alias/orion/local/executor-ethereum")["PublicKey"]
    executor = ethereum_address(key)
    faucet.fund(executor, ETHER)

    def balance(address: str) -> int:
        return int(str(faucet.call("eth_getBalance", address, "latest")), 16)

    def send(raw: bytes) -> None:
        sent = faucet.call("eth_sendRawTransaction", "0x" + raw.hex())
        faucet.mine()
        receipt = faucet.call("eth_getTransactionReceipt", sent)
        assert isinstance(receipt, dict)
        assert receipt["status"] == "0x1"

    def built(sender: str, to: str, value: int, data: bytes, gas: int) -> bytes:
        nonce = int(str(faucet.call("eth_getTransactionCount", sender, "latest")), 16)
        fees = (GWEI, 30 * GWEI, gas)
        return FeeMarketTransaction(node.chain_id, nonce, *fees, to, value, data).encode()

    def execute(to: str, data: bytes, safe_nonce: str | None = None) -> None:
        unsigned = encoded(built(executor, to, 0, data, 900_000))
        body = {"unsigned": unsigned, "groups": [GROUP], "safe_nonce": safe_nonce}
        send(decoded(signers.signed("kms-executor-ethereum", body)["transaction"]))

    if faucet.call("eth_getCode", account.address, "latest") == "0x":
        execute(ethereum_creation.factory_address(), ethereum_creation.creation_call(account))
    held, paid = balance(account.address), balance(shop)
    send(
        signers.sweep("ethereum", built(wallet, account.address, 2 * ETHER, b"", 60_000), [WALLET])
    )
    assert balance(account.address) == held + 2 * ETHER
    asked = {"to": account.address, "data": _SAFE_NONCE}
    nonce = int(str(faucet.call("eth_call", asked, "latest")), 16)

    unsigned = propose_payments(account, nonce, [Payment("ETH.ethereum", shop, ETHER)], {})
    instruction = signers.instruction(account, "ETH.ethereum", shop, ETHER)
    signed = signers.transaction(account, unsigned, instruction, (2, 4, 5))
    execute(account.address, signed, str(nonce))

    assert balance(shop) == paid + ETHER
    assert balance(account.address) == held + ETHER


def test_tron_hands_its_account_over_and_is_paid_out_by_three(
    running_stack: Stack, signers: Signers, tron: Judge
) -> None:
    node, account = running_stack.tron, signers.account("tron")
    fund(tron, account.address, 2_000 * TRX)
    known = node.call("/wallet/getaccount", {"address": account.address, "visible": True})
    if record(known["owner_permission"])["threshold"] == 1:
        unsigned = tron_creation.handover(account, frame(node))
        body = {"group": GROUP, "wallet": "hot", "unsigned": encoded(unsigned)}
        accepted(node, decoded(signers.signed("kms-tron-handover", body)["transaction"]))
    signers.seen(account)
    wallet = wallet_address(running_stack, "tron")
    fund(tron, wallet, 50 * TRX)
    swept = building.transfer(wallet, account.address, 40 * TRX, frame(node), 0)
    accepted(node, signers.sweep("tron", swept, [WALLET]))
    shop = tron.funded().address
    before = tron.balance(shop)

    unsigned = building.transfer(account.address, shop, 7 * TRX, frame(node), ACTIVE_PERMISSION_ID)
    instruction = signers.instruction(account, "TRX.tron", shop, 7 * TRX, 10 * TRX)
    accepted(node, signers.transaction(account, unsigned, instruction))

    assert tron.balance(shop) == before + 7 * TRX


def test_solana_makes_its_multisig_and_is_paid_out_by_three(
    running_stack: Stack, signers: Signers
) -> None:
    account = signers.account("solana")
    shop = Keypair().pubkey()

    async def story(scene: Scene) -> tuple[int, int]:
        payer = Pubkey.from_string(account.anchor)
        await scene.client.request_airdrop(payer, SOL)
        scene.advance(32)

        async def send(half: bytes, unsigned: bytes) -> None:
            body = {"unsigned": encoded(unsigned), "groups": [GROUP]}
            signature = decoded(signers.signed("kms-fee-payer-solana", body)["signature"])
            options = TxOpts(preflight_commitment=Processed)
            await scene.client.send_raw_transaction(with_fee_payer(half, signature), options)

        owner = Pubkey.from_string(account.address)
        if (await scene.client.get_account_info(owner, Processed)).value is None:
            mints = (bytes(WRAPPED_SOL_MINT),)
            block = bytes(await scene.blockhash())
            made = solana_creation.Creation(bytes(payer), block, BUDGET, multisig=True, mints=mints)
            unsigned = solana_creation.write_creation(made, account, {})
            await send(transaction(unsigned, [bytes(64)]), unsigned)
        wrapped = get_associated_token_address(owner, WRAPPED_SOL_MINT)
        donor = await scene.funded(10)
        sync = sync_native(SyncNativeParams(program_id=TOKEN_PROGRAM_ID, account=wrapped))
        await scene.send([pay(donor, wrapped, 5 * SOL), sync], donor)
        before = await scene.balance(wrapped)

        block = bytes(await scene.blockhash())
        payments = (Payment("SOL.solana", str(shop), 2 * SOL),)
        unsigned = write_order(Order(bytes(payer), (1, 3, 5), block, BUDGET, payments), account, {})
        instruction = signers.instruction(account, "SOL.solana", str(shop), 2 * SOL)
        await send(signers.transaction(account, unsigned, instruction), unsigned)
        return await scene.balance(shop), before - await scene.balance(wrapped)

    assert run(running_stack, story) == (2 * SOL, 2 * SOL)
