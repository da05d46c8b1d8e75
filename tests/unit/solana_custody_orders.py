"""A custody account on Solana and a few orders of it, for the tests of its messages."""

import hashlib
from dataclasses import replace

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from orion.chains.solana.account import (
    account,
)
from orion.chains.solana.budget import Budget
from orion.chains.solana.order import Order, write_order
from orion.chains.spend import (
    CustodyKeys,
    CustodyPlace,
    Payment,
    WalletKind,
)

KEYS = [Keypair.from_seed(hashlib.sha256(bytes([at])).digest()) for at in range(40)]
PAYER, CUSTODIANS, MERCHANTS = KEYS[0], KEYS[1:6], [key.pubkey() for key in KEYS[6:12]]
MINT, OTHER_MINT, THIEF = KEYS[12].pubkey(), KEYS[13].pubkey(), KEYS[14].pubkey()
SET = CustodyKeys(
    secp256k1=tuple(bytes([2]) + bytes([at]) * 32 for at in range(1, 6)),
    ed25519=tuple(bytes(key.pubkey()) for key in CUSTODIANS),
)
PLACE = CustodyPlace("solana", "localnet", 7, WalletKind.HOT, 1)
ACCOUNT = account(PLACE, SET, str(PAYER.pubkey()))
TARGET = account(replace(PLACE, set_no=2), SET, str(PAYER.pubkey()))
OWNER = Pubkey.from_string(ACCOUNT.address)
CONTRACTS = {"USDC.solana": str(MINT), "USDT.ethereum": "0x" + "11" * 20}
NATIVE, USDC = "SOL.solana", "USDC.solana"
BUDGET = Budget(200_000, 7)
BLOCKHASH = hashlib.sha256(b"block").digest()


def order(*payments: Payment, custodians: tuple[int, ...] = (1, 3, 4)) -> Order:
    return Order(bytes(PAYER.pubkey()), custodians, BLOCKHASH, BUDGET, payments)


TO_TOKEN = Payment(USDC, str(MERCHANTS[0]), 1_000)
TO_PLAIN = Payment(NATIVE, str(MERCHANTS[1]), 2_000_000)
TO_TARGET = Payment(NATIVE, TARGET.address, 3_000_000)
MESSAGE = write_order(order(TO_TOKEN, TO_TARGET, TO_PLAIN), ACCOUNT, CONTRACTS)
PLAIN = write_order(order(TO_PLAIN), ACCOUNT, CONTRACTS)
TOKENS = write_order(order(TO_TOKEN), ACCOUNT, CONTRACTS)
