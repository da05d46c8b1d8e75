"""The same system on one machine: every engine a private process on 127.0.0.1, its data in one folder.

Everything is a view over a folder `var` (default `var/stack`), so any process may attach to a
running stack: `Stack(var)` starts nothing. Several stacks run side by side in different folders.

    from infra.local import Program, Stack, stack_up, stack_down

    stack = Stack(Path("var/stack"))            # Stack(var: Path, *, report: Report = print_line)
    stack.up(engines=ENGINES)                   # starts in parallel, waits until ready, else EngineFailure
    stack.start("kafka"); stack.stop("kafka")   # one engine; start returns when it is ready
    stack.kill("kafka")                         # SIGKILL to its process group, for crash tests
    stack.down()                                # programs first, then engines; only what was started
    stack.alive("kafka") -> bool                # engine or program
    stack.run_program(program) -> ProcessRecord # starts (or returns the live one), waits for `ready`
    stack.stop_program("agent-bitcoin"); stack.kill_program("agent-bitcoin")
    stack.programs() -> Mapping[str, Program]   # as registered, also from another process

    Program(name: str, argv: tuple[str, ...], env: Mapping[str, str], cwd: Path,
            ready: str | None = None, ready_timeout_s: float = 20.0)
        `env` is the whole environment (nothing is inherited but PATH, HOME, LANG and TMPDIR).
        `ready` is a text that the program writes into its log as a line's part when it serves.
    ProcessRecord(name, pid, started_ticks, argv)   # pid leads its own process group

Engines, each an attribute of the stack with typed connection data (`Credentials(username, password)`):

    stack.mariadb    .host .port .admin: Credentials .ca_path .ca_pem
    stack.postgres   .host .port .admin: Credentials .ca_path .ca_pem .database
    stack.kafka      .bootstrap_servers .ca_path .ca_pem .admin: Credentials
                     .credentials(principal: str) -> Credentials  .principals: tuple[str, ...]
    stack.memcached  .host .port .servers ("host:port")
    stack.ministack  .url .region .environment() -> dict[str, str]  (AWS_* variables for clients and cdk)
                     .account_id
    stack.anvil      .http_url .ws_url .ipc_path .chain_id .faucet_address .faucet_private_key
    stack.btcd       .host .port .rpc_url .ws_url .rpc: Credentials .network ("regtest") .faucet_address

Faucets (`infra.local.faucet`):

    BitcoinFaucet(stack.btcd)   .mine(count=1) -> list[str] (block hashes)   .prepare() (matured coins)
        .fund(address, sats) -> Funding(txid, raw_hex)    .invalidate(block_hash)   .reconsider(block_hash)
        .call(method, *params) -> object    .tip() -> tuple[int, str]
    EthereumFaucet(stack.anvil) .mine(count=1)   .fund(address, wei) -> str (tx hash)   .reorg(depth)
        .deploy_usdt() -> str (address; deterministic, no-op when there)   .mint(address, units) -> str
        .call(method, *params) -> object

Whole stack: `stack_up(var=DEFAULT_VAR, report=print_line) -> Stack` starts the engines and runs the
steps of `infra.local.steps.STEPS` in order (seed, faucets, migrations, deploy, pollers, agents); a
step is "module:function", called with the Stack, idempotent. `stack_down(var)` stops everything.

Command line: `python -m infra.local up [--detach] [--lifetime-h 8] [--engines-only] | down | status |
logs [NAME] | restart NAME`, each with `--var FOLDER`.
"""

from infra.local.failure import EngineFailure, StackFailure
from infra.local.layout import DEFAULT_VAR, Credentials
from infra.local.processes import ProcessRecord
from infra.local.programs import Program
from infra.local.stack import ENGINES, Stack
from infra.local.steps import STEPS, Step, run_steps, stack_down, stack_up

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
