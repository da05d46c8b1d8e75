"""The one writer of the chain: transactions, the slot clock, forks, and their journal."""

import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from solders.account import Account
from solders.compute_budget import set_compute_unit_limit
from solders.hash import Hash
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import Transaction, VersionedTransaction

from infra.local.solana.execution import execute
from infra.local.solana.journal import Journal
from infra.local.solana.model import (
    Block,
    Change,
    Executed,
    Json,
    Level,
    block_json,
    block_of,
    changes_json,
    changes_of,
    executed_json,
    executed_of,
)
from infra.local.solana.state import Depths, Final, State
from infra.local.solana.tokens import NATIVE_MINTS, native_mint

BLOCKS_MAX = 50_000
ADVANCE_MAX = 10_000
TRANSACTIONS_IN_SLOT_MAX = 2_000
JOURNAL_BYTES_MAX = 128 * 1024 * 1024
_AIRDROP_UNITS = 1_000
_FAUCET_LAMPORTS = 500_000_000 * 10**9
AIRDROP_LAMPORTS_MAX = 1_000_000 * 10**9


class SlotFull(Exception):
    """The open slot holds as many transactions as it may."""


class Listener(Protocol):
    """Hears of every change, after it is written."""

    def executed(self, done: Executed, changes: Sequence[Change]) -> None: ...

    def closed(self, block: Block) -> None:
        """`block` is the newest block now."""
        ...

    def settled(self, level: Level, block: Block, changes: Sequence[Change]) -> None:
        """`block`, which changed accounts to the values in `changes`, reached `level`."""
        ...


class Chain:
    """The chain in `folder`, made when there is none. One instance a folder (JournalTaken)."""

    def __init__(
        self, folder: Path, depths: Depths, *, interval_ms: int = 0, blocks_max: int = BLOCKS_MAX
    ) -> None:
        self._journal = Journal(folder)
        self._journal_bytes_max = JOURNAL_BYTES_MAX
        self._depths = depths
        # Milliseconds between slots, 0 for none; the last choice is kept over restarts.
        self.interval_ms = interval_ms
        self._listeners: list[Listener] = []
        records = iter(self._journal.read())
        first = next(records, None)
        if first is None:
            first = _genesis_record()
            self._journal.append(first)
        self.genesis_hash: str = first["genesis"]
        self._first = first
        self.faucet = Keypair.from_base58_string(first["faucet"])
        self.state = State(
            block_of(first["root"]), Pubkey.from_string(first["leader"]), depths, blocks_max
        )
        if first["root"]["height"] == 0:
            self._put_genesis()
        for record in records:
            self._replay(record)
        self._confirmed_height = self.state.block_at(Level.CONFIRMED).height
        self._compact_when_large()

    def _put_genesis(self) -> None:
        rent = self.state.svm.minimum_balance_for_rent_exemption(82)
        for program, key in NATIVE_MINTS.items():
            self.state.put(key, native_mint(program, rent))
        self.state.put(self.faucet.pubkey(), Account(_FAUCET_LAMPORTS, b"", Pubkey.default()))

    def _replay(self, record: Json) -> None:
        match record["t"]:
            case "tx":
                self.state.record(executed_of(record["tx"]), changes_of(record["changes"]))
            case "close":
                self.state.close(record["time"])
            case "skip":
                self.state.skip(record["slots"])
            case "fork":
                self.state.fork(record["blocks"])
            case "restore":
                self.state.restore(block_of(record["block"]))
            case "accounts":
                for key, account in changes_of(record["accounts"]):
                    self.state.put(key, account)
            case "clock":
                self.interval_ms = record["interval_ms"]
            case "slot":
                self.state.open.slot = record["slot"]

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def send(self, transaction: VersionedTransaction) -> Executed:
        """Execute in the open slot and record it. Raises Refused, SlotFull."""
        if len(self.state.open.transactions) >= TRANSACTIONS_IN_SLOT_MAX:
            raise SlotFull
        done, changes, before = execute(transaction, self.state)
        try:
            self._journal.append(
                {"t": "tx", "tx": executed_json(done), "changes": changes_json(changes)}
            )
        except OSError:
            for key, _ in changes:
                self.state.put(key, before[key])
            raise
        self.state.record(done, changes, before)
        for listener in self._listeners:
            listener.executed(done, changes)
        return done

    def airdrop(self, to: Pubkey, lamports: int) -> Executed:
        """A transfer of the faucet's. Raises Refused, SlotFull."""
        move = transfer(
            TransferParams(from_pubkey=self.faucet.pubkey(), to_pubkey=to, lamports=lamports)
        )
        blockhash = Hash.from_string(self.state.tip.blockhash)
        for attempt in range(TRANSACTIONS_IN_SLOT_MAX):
            # Two equal airdrops in one slot would be one transaction: a limit tells them apart.
            calls = [set_compute_unit_limit(_AIRDROP_UNITS + attempt), move] if attempt else [move]
            payment = Transaction.new_signed_with_payer(
                calls, self.faucet.pubkey(), [self.faucet], blockhash
            )
            if self.state.history.transaction(str(payment.signatures[0])) is None:
                return self.send(VersionedTransaction.from_legacy(payment))
        raise SlotFull

    def advance(self, slots: int = 1) -> None:
        """Close the open slot and those after it, `slots` in all (1 to ADVANCE_MAX)."""
        if not 1 <= slots <= ADVANCE_MAX:
            raise ValueError(f"1 to {ADVANCE_MAX} slots")
        for _ in range(slots):
            now_s = int(time.time())
            self._journal.append({"t": "close", "time": now_s})
            block, final = self.state.close(now_s)
            self._tell(block, final)
        self._compact_when_large()

    def _tell(self, block: Block, final: Sequence[Final]) -> None:
        for listener in self._listeners:
            listener.closed(block)
        newest = self.state.block_at(Level.CONFIRMED)
        # A fork may have taken confirmed blocks away, so more than one may be new.
        fresh = [
            found
            for found in self.state.history.newest(self._depths.finalized)
            if self._confirmed_height < found.height <= newest.height
        ]
        self._confirmed_height = newest.height
        for confirmed in reversed(fresh):
            changes = self.state.block_changes(confirmed)
            for listener in self._listeners:
                listener.settled(Level.CONFIRMED, confirmed, changes)
        for found, values in final:
            for listener in self._listeners:
                listener.settled(Level.FINALIZED, found, values)

    def change_interval(self, interval_ms: int) -> None:
        """Milliseconds between slots from now on."""
        self._journal.append({"t": "clock", "interval_ms": interval_ms})
        self.interval_ms = interval_ms

    def skip(self, slots: int) -> None:
        """Let `slots` slots (1 to ADVANCE_MAX) pass without a block, after closing a used one."""
        if not 1 <= slots <= ADVANCE_MAX:
            raise ValueError(f"1 to {ADVANCE_MAX} slots")
        if self.state.open.transactions:
            self.advance()
        self._journal.append({"t": "skip", "slots": slots})
        self.state.skip(slots)

    def fork(self, blocks: int) -> list[Executed]:
        """Drop the open slot and the newest `blocks` blocks; answers their transactions.

        Raises ForkRefused when one of them is final.
        """
        self.state.check_fork(blocks)
        self._journal.append({"t": "fork", "blocks": blocks})
        dropped = self.state.fork(blocks)
        self._confirmed_height = self.state.block_at(Level.CONFIRMED).height
        return dropped

    def _compact_when_large(self) -> None:
        if self._journal.size_bytes > self._journal_bytes_max:
            self.compact()

    def compact(self) -> None:
        """Write the journal anew: blocks kept, accounts at the root, then what is not final."""
        self._journal.replace(self._compacted())
        # What is kept may be large itself: it is not written again before as much has come to it.
        self._journal_bytes_max = max(JOURNAL_BYTES_MAX, 2 * self._journal.size_bytes)

    def _compacted(self) -> Iterator[Json]:
        state = self.state
        final = [block for block in state.history.blocks() if block.height <= state.root.height]
        yield {**self._first, "root": block_json(final[0])}
        for block in final[1:]:
            yield {"t": "restore", "block": block_json(block)}
        yield {"t": "clock", "interval_ms": self.interval_ms}
        for key in state.known_accounts():
            # Gone ones too: the programs' own accounts come with LiteSVM.
            account = state.account(key, Level.FINALIZED)
            yield {"t": "accounts", "accounts": changes_json([(key, account)])}
        times = {block.slot: block.time_s for block in state.history.blocks()}
        for slot, transactions, changes in state.unfinal():
            yield {"t": "slot", "slot": slot}
            for done in transactions:
                # The slot's changes stand beside its last transaction.
                of = changes if done is transactions[-1] else ()
                yield {"t": "tx", "tx": executed_json(done), "changes": changes_json(of)}
            if slot in times:
                yield {"t": "close", "time": times[slot]}

    def close(self) -> None:
        """Let go of the folder."""
        self._journal.close()


def _genesis_record() -> Json:
    genesis = str(Hash(secrets.token_bytes(32)))
    root = Block(
        slot=0,
        parent_slot=0,
        height=0,
        blockhash=genesis,
        previous_blockhash=str(Hash.default()),
        time_s=int(time.time()),
    )
    return {
        "t": "genesis",
        "genesis": genesis,
        "faucet": str(Keypair()),
        "leader": str(Keypair().pubkey()),
        "root": block_json(root),
    }
