"""`python -m node_stacks.agent --node node_stacks/<chain>/node.toml [--name NAME] [--state FOLDER]`
follows the node; with `--check` it tells the node's health, with `--answer-key` the public half of
the key that signs this agent's answers, and ends.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from node_stacks.agent.agent import Agent
from node_stacks.agent.commands.answer_key import answer_key
from node_stacks.agent.commands.memory import ReplayMemory
from node_stacks.agent.commands.private_files import lock_folder, open_folder
from node_stacks.agent.commands.room import Action, CommandRoom
from node_stacks.agent.errors import NodeUnavailable, SettingsMissing
from node_stacks.agent.events import Source
from node_stacks.agent.follower import Follower
from node_stacks.agent.kafka import CommandReader, KafkaPublisher, blocks_topic
from node_stacks.agent.log import start_logging
from node_stacks.agent.node import Node
from node_stacks.agent.settings import AgentSettings, read_node_file, read_settings
from orion.errors import OrionError

_log = logging.getLogger(__name__)

_CHECK_TIMEOUT_S = 15.0
_STATE_ROOT = Path("/var/lib/orion-agent")


def node_of(settings: AgentSettings) -> Node:
    """The node that the endpoints describe; only its chain's code is imported.

    Raises SettingsMissing.
    """
    at, file = settings.endpoints, settings.file
    if file.chain == "ethereum" and ("ipc-path" in at or "ws-url" in at):
        from node_stacks.agent.ethereum_node import EthereumNode

        return EthereumNode(
            settings.network,
            ipc_path=at.get("ipc-path"),
            ws_url=at.get("ws-url"),
            traces=file.traces,
            silence_s=file.silence_s,
        )
    if file.chain == "bitcoin" and settings.rpc is not None:
        user, password = settings.rpc.username, settings.rpc.password
        if "rpc-url" in at and "zmq-url" in at:
            from node_stacks.agent.core_node import CoreNode

            return CoreNode(
                settings.network,
                rpc_url=at["rpc-url"],
                zmq_url=at["zmq-url"],
                username=user,
                password=password,
                silence_s=file.silence_s,
            )
        if "ws-url" in at:
            from node_stacks.agent.bitcoin_node import BtcdNode

            return BtcdNode(
                settings.network,
                ws_url=at["ws-url"],
                username=user,
                password=password,
                silence_s=file.silence_s,
            )
    raise SettingsMissing("no endpoints that this agent can follow", chain=file.chain)


def actions_of(chain: str) -> Mapping[str, Action]:
    """The commands that an agent of this chain knows; only its chain's code is imported."""
    if chain == "bitcoin":
        from node_stacks.agent.commands.bitcoin_balances import bitcoin_balances

        return {"balances": bitcoin_balances}
    if chain == "ethereum":
        from node_stacks.agent.commands.ethereum_balances import ethereum_balances

        return {"balances": ethereum_balances}
    return {}


async def run(settings: AgentSettings, state: Path) -> None:
    """Follow the node until a signal asks to stop, or an error that waiting does not mend."""
    file = settings.file
    source = Source(file.chain, settings.network, file.name)
    publisher = KafkaPublisher(settings.kafka, blocks_topic(file.chain), file.name)
    node = node_of(settings)
    follower = Follower(node, publisher, source, file.reorg_depth_max)
    room = CommandRoom(
        node,
        source,
        settings.issuers,
        ReplayMemory(state),
        answer_key(state),
        actions_of(file.chain),
        publisher.answer,
    )
    agent = Agent(
        node,
        source,
        follower,
        publisher,
        CommandReader(settings.kafka, file.chain, file.name),
        room,
    )
    task = asyncio.create_task(agent.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        _log.info("stopped by a signal")


async def check(settings: AgentSettings) -> bool:
    """The health check: whether the node answers and its newest block is recent.

    Prints one JSON object.
    """
    node = node_of(settings)
    changed = asyncio.Event()
    following = asyncio.create_task(node.follow(changed))
    arrived = asyncio.create_task(changed.wait())
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            await asyncio.wait({following, arrived}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await following
            head, head_time = await node.head(), await node.head_time()
    except TimeoutError as exc:
        raise NodeUnavailable("the node did not answer in time") from exc
    finally:
        arrived.cancel()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    age_s = int(time.time()) - head_time
    healthy = age_s <= settings.file.head_age_s_max
    report = {"healthy": healthy, "height": head.height, "head_age_s": age_s}
    sys.stdout.write(json.dumps(report) + "\n")
    return healthy


def main() -> int:
    """0: stopped by a signal, or healthy.

    1: an error that a person must look at, or not healthy.
    """
    parser = argparse.ArgumentParser(prog="python -m node_stacks.agent", description=__doc__)
    parser.add_argument("--node", type=Path, required=True, help="the node.toml of a chain")
    parser.add_argument("--name", help="the node's name, where a chain has several")
    parser.add_argument("--check", action="store_true", help="check the node's health and end")
    parser.add_argument("--state", type=Path, help="the agent's own folder, of mode 0700")
    parser.add_argument(
        "--answer-key", action="store_true", help="print the public half of the answer key and end"
    )
    options = parser.parse_args()
    start_logging(options.name or options.node.parent.name)
    try:
        file = read_node_file(options.node)
        if options.name:
            file = replace(file, name=options.name)
        start_logging(file.name)
        state = options.state or _STATE_ROOT / file.name
        if options.answer_key:
            sys.stdout.write(answer_key(state).public_text + "\n")
            return 0
        stage = os.environ.get("ORION_STAGE")
        if not stage:
            raise SettingsMissing("ORION_STAGE is not set")
        settings = read_settings(file, stage)
        if options.check:
            return 0 if asyncio.run(check(settings)) else 1
        lock_folder(open_folder(state))
        asyncio.run(run(settings, state))
    except OrionError as exc:
        _log.critical("the agent stops", exc_info=exc)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
