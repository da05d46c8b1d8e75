"""One custody account and one payout on each of the four chains."""

import hashlib

from coincurve import PrivateKey
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from orion.chains.bitcoin.address import parse_address
from orion.chains.bitcoin.encode import transaction_bytes
from orion.chains.bitcoin.psbt_build import Coin, Recipient, payment_psbt
from orion.chains.bitcoin.wire import TxInput, TxOutput
from orion.chains.ethereum.safe_proposals import propose_payments
from orion.chains.solana.budget import Budget
from orion.chains.solana.order import Order, write_order
from orion.chains.spend import CustodyAccount, CustodyPlace, Payment, WalletKind, custody
from orion.chains.tron import building
from orion.chains.tron.permissions import address_of_key
from orion.chains.tron.raw_data import Frame
from tests.engine.custodian_scene import (
    NETWORKS,
    Body,
    Custodians,
    payout,
)

TRON_ANCHOR = address_of_key(PrivateKey(bytes(31) + b"\x05").public_key.format())
TRON_SHOP = address_of_key(PrivateKey(bytes(31) + b"\x06").public_key.format())
SOLANA_PAYER = str(Keypair.from_seed(bytes(31) + b"\x07").pubkey())
SOLANA_SHOP = str(Keypair.from_seed(bytes(31) + b"\x08").pubkey())
BITCOIN_SHOP = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
ETHEREUM_SHOP = "0x" + "5a" * 20
ANCHORS = {"bitcoin": "", "ethereum": "", "tron": TRON_ANCHOR, "solana": SOLANA_PAYER}


def account_of(custodians: Custodians, chain: str, set_no: int = 1) -> CustodyAccount:
    place = CustodyPlace(chain, NETWORKS[chain], 7, WalletKind.HOT, set_no)
    return custody(chain).account(place, custodians.sets[set_no].keys, ANCHORS[chain])


def coin(account: CustodyAccount, sats: int, mark: int = 1) -> Coin:
    """An output that pays the account, in a transaction of its own."""
    script = parse_address(account.address, "regtest").script
    inputs = [TxInput(bytes([mark]) * 32, 0, b"", 0xFFFFFFFD)]
    return Coin(transaction_bytes(2, inputs, [TxOutput(sats, script)], 0), 0)


def bitcoin_case(account: CustodyAccount) -> tuple[bytes, Body]:
    unsigned = payment_psbt(
        account, [coin(account, 500_000)], [Recipient(BITCOIN_SHOP, 9_000)], 500
    )
    more = {"fee_max_units": "500", "account": account.address}
    return unsigned, payout("bitcoin", "BTC.bitcoin", BITCOIN_SHOP, 9_000, **more)


def ethereum_case(account: CustodyAccount) -> tuple[bytes, Body]:
    payment = Payment("ETH.ethereum", ETHEREUM_SHOP, 7 * 10**17)
    unsigned = propose_payments(account, 0, [payment], {})
    more = {"account": account.address}
    return unsigned, payout("ethereum", "ETH.ethereum", ETHEREUM_SHOP, 7 * 10**17, **more)


def tron_case(account: CustodyAccount) -> tuple[bytes, Body]:
    frame = Frame(b"\1\2", b"\3" * 8, 1_767_349_200_000, 1_767_349_260_000)
    unsigned = building.transfer(account.address, TRON_SHOP, 5_000_000, frame, 2)
    more = {"fee_max_units": "10000000", "account": account.address}
    return unsigned, payout("tron", "TRX.tron", TRON_SHOP, 5_000_000, **more)


def solana_case(account: CustodyAccount) -> tuple[bytes, Body]:
    payer = bytes(Pubkey.from_string(SOLANA_PAYER))
    payment = Payment("SOL.solana", SOLANA_SHOP, 2_000_000)
    block = hashlib.sha256(b"block").digest()
    order = Order(payer, (1, 2, 3), block, Budget(200_000, 7), (payment,))
    more = {"account": account.address}
    instruction = payout("solana", "SOL.solana", SOLANA_SHOP, 2_000_000, **more)
    return write_order(order, account, {}), instruction


CASES = {
    "bitcoin": bitcoin_case,
    "ethereum": ethereum_case,
    "tron": tron_case,
    "solana": solana_case,
}


def other_shop(chain: str) -> str:
    return {
        "bitcoin": "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry",
        "ethereum": "0x" + "5b" * 20,
        "tron": TRON_ANCHOR,
        "solana": SOLANA_PAYER,
    }[chain]
