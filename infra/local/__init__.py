"""The same system on one machine: engines as private processes on 127.0.0.1, data in one folder.

Everything is a view over a folder `var` (default `var/stack`), so any process may attach to a
running stack: `Stack(var)` starts nothing. Several stacks run side by side in different folders.

    from infra.local import Program, Stack, stack_up, stack_down

    stack = Stack(Path("var/stack"))     # Stack(var: Path = DEFAULT_VAR, *, report=print_line)
    stack.up(engines=ENGINES)            # in parallel, waits until ready, else EngineFailure
    stack.start("kafka")                 # one engine; returns when it is ready
    stack.stop("kafka")
    stack.kill("kafka")                  # SIGKILL to its process group, for crash tests
    stack.restart("kafka")               # engine or program
    stack.down()                         # programs first, then engines; only what was started
    stack.alive("kafka") -> bool         # engine or program
    stack.run_program(program) -> ProcessRecord   # or the living one; waits for `ready`
    stack.stop_program(name)             # and forgets it
    stack.kill_program(name)             # SIGKILL; run_program(program) starts it again
    stack.programs() -> Mapping[str, Program]     # as registered, also from another process
    stack.report(line)                   # progress for the person who started it

    Program(name: str, argv: tuple[str, ...], env: Mapping[str, str], cwd: Path,
            ready: str | None = None, ready_timeout_s: float = 20.0)
        `env` is the whole environment (nothing is inherited but PATH, HOME, LANG and TMPDIR).
        `ready` is a text that the program writes to its output once it serves.
    ProcessRecord(name, pid, started_ticks, argv)   # pid leads its own process group

Engines, each an attribute of the stack with connection data (`Credentials(username, password)`):

    stack.mariadb    .host .port .admin .ca_path .ca_pem .credentials(principal) .connect()
    stack.postgres   .host .port .admin .ca_path .ca_pem .credentials(principal) .connect()
                     .database ("orion")
    stack.kafka      .bootstrap_servers .ca_path .ca_pem .admin .credentials(principal)
                     .principals .controller_port
    stack.memcached  .host .port .servers ("host:port")
    stack.ministack  .url .region .account_id .client("ssm" | "secretsmanager")
                     .environment() -> dict[str, str]  (AWS_* variables for clients and cdk)
    stack.anvil      .http_url .ws_url .ipc_path .chain_id .rpc.call(method, *params)
                     .faucet_address .faucet_private_key
    stack.btcd       .host .port .rpc_url .ws_url .rpc: Credentials .network ("regtest")
                     .client.call(method, *params) .faucet_address

    stack.tron       .http_url .solidity_url .call(path, body) .mine(count=1)
                     .faucet_private_key .faucet_address
    stack.solana     .http_url .ws_url .rpc.call(method, *params)
    stack.ticker     .url .base_urls .fault(provider, kind, symbol=None) .prices(BTC="70000.00")
                     .clear() .asked()

Faucets (`infra.local.faucet`):

    BitcoinFaucet(stack.btcd)
        .prepare()                       # mines until coins have matured
        .mine(count=1) -> list[str]      # block hashes
        .tip() -> tuple[int, str]        # height, hash
        .fund(address, sats) -> Funding(txid, raw_hex)    # unconfirmed until mined
        .invalidate(block_hash)          .reconsider(block_hash)
        .call(method, *params) -> object
    EthereumFaucet(stack.anvil)
        .fund(address, wei) -> str       # transaction hash; mined at once
        .mine(count=1)                   .reorg(depth)    # the last blocks become empty ones
        .deploy_usdt() -> str            # address; no-op when it is there
        .mint(address, units) -> str
        .call(method, *params) -> object
    usdt_address() -> str                token() -> {"abi", "bytecode"}

Custody (`infra.local.custody`): the operator's command, and Enrolment(account, stage, approvers,
report).described(set) .enrol(set) .register(sets) .enrol_and_register(sets); set_digest(described).

`infra.local.seed`: STAGE ("local"), BITCOIN_NODE, ETHEREUM_NODE, parameters(stack), secrets(stack).

Whole stack: `stack_up(var=DEFAULT_VAR, *, report, engines, steps) -> Stack` starts the engines and
runs `infra.local.steps.STEPS` in order; a step is "module:function", called with the Stack,
idempotent. `stack_down(var)` stops everything.

Command line: `python -m infra.local up [--detach] [--lifetime-h 8] [--engines-only] [--engines A,B]
| down | status | logs [NAME] | restart NAME`, each with `--var FOLDER`.
"""

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.local.failure import EngineFailure, StackFailure
    from infra.local.layout import DEFAULT_VAR, Credentials
    from infra.local.processes import ProcessRecord
    from infra.local.programs import Program
    from infra.local.stack import ENGINES, Stack
    from infra.local.steps import STEPS, Step, run_steps, stack_down, stack_up

# Imported when first asked for: a poller must not carry the clients of all engines.
_PLACES = MappingProxyType(
    {
        "DEFAULT_VAR": "layout",
        "ENGINES": "stack",
        "STEPS": "steps",
        "Credentials": "layout",
        "EngineFailure": "failure",
        "ProcessRecord": "processes",
        "Program": "programs",
        "Stack": "stack",
        "StackFailure": "failure",
        "Step": "steps",
        "run_steps": "steps",
        "stack_down": "steps",
        "stack_up": "steps",
    }
)


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


__all__ = [
    "DEFAULT_VAR",
    "ENGINES",
    "STEPS",
    "Credentials",
    "EngineFailure",
    "ProcessRecord",
    "Program",
    "Stack",
    "StackFailure",
    "Step",
    "run_steps",
    "stack_down",
    "stack_up",
]
