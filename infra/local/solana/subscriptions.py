"""Subscriptions of WebSocket connections: who hears what, and in which form."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from solders.account import Account
from solders.pubkey import Pubkey

from infra.local.solana.chain import Chain
from infra.local.solana.methods import CORE_VERSION
from infra.local.solana.methods_accounts import Filter, filters_of
from infra.local.solana.model import Block, Change, Executed, Json, Level
from infra.local.solana.params import Options, Params, as_pubkey, as_signature
from infra.local.solana.rpc_errors import INTERNAL_ERROR, RpcError, invalid
from infra.local.solana.ui_accounts import Form, form_of, ui_account
from infra.local.solana.ui_transactions import checked_encoding, ui_block

QUEUED_MAX = 2_000
SUBSCRIPTIONS_MAX = 100
_FILTERS_MAX = 4
_SYSTEM = Pubkey.default()
_PLAIN = Form(None)


class Outbox:
    """Messages waiting for one connection. When it is full, the connection is to be closed."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUED_MAX + 1)
        self.overflowed = False

    def push(self, message: Json) -> None:
        if self.overflowed:
            return
        if self.queue.qsize() >= QUEUED_MAX:
            self.overflowed = True
            self.queue.put_nowait(None)
            return
        self.queue.put_nowait(json.dumps(message, separators=(",", ":")))


@dataclass(slots=True)
class Subscription:
    """One wish. Only the fields of its kind are used."""

    number: int
    outbox: Outbox
    kind: str
    level: Level
    signature: str = ""
    key: Pubkey = _SYSTEM
    mentions: str | None = None
    form: Form = _PLAIN
    filters: Sequence[Filter] = ()
    show_block: Callable[[Block], Json] | None = None


class Hub:
    """All subscriptions; listens to the chain."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._numbers = count(1)
        self._found: dict[int, Subscription] = {}
        self._makers: dict[str, Callable[[Params, Subscription], None]] = {
            "slot": lambda _, __: None,
            "root": lambda _, __: None,
            "signature": self._make_signature,
            "account": self._make_account,
            "program": self._make_program,
            "logs": self._make_logs,
            "block": self._make_block,
        }
        chain.listen(self)

    def handle(self, outbox: Outbox, method: str, params: Params, number: Json) -> bool:
        """Serve a (un)subscribe call; False when `method` is none. Raises RpcError."""
        if method.endswith("Unsubscribe"):
            return self._unsubscribe(outbox, method, params, number)
        kind = method.removesuffix("Subscribe")
        if kind == method or kind not in self._makers:
            return False
        mine = sum(1 for other in self._found.values() if other.outbox is outbox)
        if mine >= SUBSCRIPTIONS_MAX:
            raise RpcError(INTERNAL_ERROR, "Internal error: too many subscriptions")
        wish = Subscription(next(self._numbers), outbox, kind, Level.FINALIZED)
        self._makers[kind](params, wish)
        self._found[wish.number] = wish
        outbox.push({"jsonrpc": "2.0", "result": wish.number, "id": number})
        if kind == "signature":
            self._known_signature(wish)
        return True

    def _unsubscribe(self, outbox: Outbox, method: str, params: Params, number: Json) -> bool:
        kind = method.removesuffix("Unsubscribe")
        if kind not in self._makers:
            return False
        wish = self._found.get(params.integer(0))
        if wish is None or wish.outbox is not outbox or wish.kind != kind:
            raise RpcError(-32_602, "Invalid subscription id.")
        del self._found[wish.number]
        outbox.push({"jsonrpc": "2.0", "result": True, "id": number})
        return True

    def leave(self, outbox: Outbox) -> None:
        """Forget a closed connection."""
        for number in [n for n, wish in self._found.items() if wish.outbox is outbox]:
            del self._found[number]

    def _make_signature(self, params: Params, wish: Subscription) -> None:
        wish.signature, wish.level = as_signature(params.raw(0)), params.options(1).level()

    def _make_account(self, params: Params, wish: Subscription) -> None:
        options = params.options(1)
        wish.key, wish.level, wish.form = params.pubkey(0), options.level(), form_of(options)

    def _make_program(self, params: Params, wish: Subscription) -> None:
        self._make_account(params, wish)
        wish.filters = filters_of(params.options(1).array("filters", _FILTERS_MAX))

    def _make_logs(self, params: Params, wish: Subscription) -> None:
        wish.level = params.options(1).level()
        wanted = params.raw(0)
        if wanted in ("all", "allWithVotes"):
            return
        named = params.options(0).array("mentions", 1)
        if len(named) != 1:
            raise invalid("Only 1 address supported")
        wish.mentions = str(as_pubkey(named[0]))

    def _make_block(self, params: Params, wish: Subscription) -> None:
        options = params.options(1)
        wish.level = options.level()
        if wish.level is Level.PROCESSED:
            raise invalid("Method does not support commitment below `confirmed`")
        if params.raw(0) != "all":
            named = params.options(0).text("mentionsAccountOrProgram")
            wish.mentions = str(as_pubkey(named))
        wish.show_block = self._block_form(options)

    def _block_form(self, options: Options) -> Callable[[Block], Json]:
        encoding = checked_encoding(options.text("encoding") or "base64")
        details = options.text("transactionDetails") or "full"
        rewards = options.given("showRewards", default=True)
        version_max = options.integer("maxSupportedTransactionVersion")
        leader = str(self._chain.state.leader)
        return lambda block: ui_block(
            block,
            leader,
            encoding=encoding,
            details=details,
            rewards=rewards,
            version_max=version_max,
        )

    def _known_signature(self, wish: Subscription) -> None:
        done = self._chain.state.history.transaction(wish.signature)
        if done is not None and done.slot <= self._chain.state.slot_at(wish.level):
            self._tell_signature(wish, done)

    # The chain's listener.

    def executed(self, done: Executed, changes: Sequence[Change]) -> None:
        self._transaction(Level.PROCESSED, done)
        self._accounts(Level.PROCESSED, done.slot, changes)

    def closed(self, block: Block) -> None:
        state = self._chain.state
        slot = {"parent": block.slot, "root": state.root.slot, "slot": state.open.slot}
        for wish in self._of("slot"):
            self._push(wish, slot)

    def settled(self, level: Level, block: Block, changes: Sequence[Change]) -> None:
        for done in block.transactions:
            self._transaction(level, done)
        self._accounts(level, block.slot, changes)
        for wish in self._of("block"):
            if wish.level is level and wish.show_block is not None:
                self._tell_block(wish, block, wish.show_block)
        if level is Level.FINALIZED:
            for wish in self._of("root"):
                self._push(wish, block.slot)

    def _of(self, kind: str) -> list[Subscription]:
        return [wish for wish in self._found.values() if wish.kind == kind]

    def _transaction(self, level: Level, done: Executed) -> None:
        for wish in self._of("signature"):
            if wish.level is level and wish.signature == done.signature:
                self._tell_signature(wish, done)
        for wish in self._of("logs"):
            if wish.level is level and wish.mentions in (None, *done.keys):
                value = {"err": done.error, "logs": done.logs, "signature": done.signature}
                self._push_at(wish, done.slot, value)

    def _tell_signature(self, wish: Subscription, done: Executed) -> None:
        slot = self._chain.state.slot_at(wish.level)
        self._push_at(wish, slot, {"err": done.error})
        del self._found[wish.number]

    def _accounts(self, level: Level, slot: int, changes: Sequence[Change]) -> None:
        watching = [w for w in (*self._of("account"), *self._of("program")) if w.level is level]
        for wish in watching:
            for key, account in changes:
                found = account or Account(0, b"", _SYSTEM)
                if wish.kind == "account" and key == wish.key:
                    self._push_at(wish, slot, self._shown(found, wish))
                elif wish.kind == "program" and _fits(wish, found):
                    value = {"account": self._shown(found, wish), "pubkey": str(key)}
                    self._push_at(wish, slot, value)

    def _shown(self, account: Account, wish: Subscription) -> Json:
        form = wish.form
        if form.encoding is None and len(account.data) > 128:
            form = Form("base64", form.piece)
        return ui_account(account, form, lambda key: self._chain.state.account(key, wish.level))

    def _tell_block(self, wish: Subscription, block: Block, show: Callable[[Block], Json]) -> None:
        if wish.mentions is not None and not any(
            wish.mentions in done.keys for done in block.transactions
        ):
            return
        try:
            value = {"block": show(block), "err": None, "slot": block.slot}
        except RpcError:
            # As the cluster says it: a version that the subscriber did not allow.
            value = {"block": None, "err": "UnsupportedTransactionVersion", "slot": block.slot}
        self._push_at(wish, block.slot, value)

    def _push_at(self, wish: Subscription, slot: int, value: Json) -> None:
        context = {"apiVersion": CORE_VERSION, "slot": slot}
        self._push(wish, {"context": context, "value": value})

    def _push(self, wish: Subscription, result: Json) -> None:
        wish.outbox.push(
            {
                "jsonrpc": "2.0",
                "method": f"{wish.kind}Notification",
                "params": {"result": result, "subscription": wish.number},
            }
        )


def _fits(wish: Subscription, account: Account) -> bool:
    data = bytes(account.data)
    return account.owner == wish.key and all(fits(data) for fits in wish.filters)
