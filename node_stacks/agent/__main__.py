"""`python -m node_stacks.agent --node node_stacks/<chain>/node.toml [--name NAME] [--check]`."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from node_stacks.agent.agent import Agent
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


async def run(settings: AgentSettings) -> None:
    """Follow the node until a signal asks to stop, or an error that waiting does not mend."""
    file = settings.file
    source = Source(file.chain, settings.network, file.name)
    publisher = KafkaPublisher(settings.kafka, blocks_topic(file.chain), file.name)
    node = node_of(settings)
    follower = Follower(node, publisher, source, file.reorg_depth_max)
    agent = Agent(
        node, source, follower, publisher, CommandReader(settings.kafka, file.chain, file.name)
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
    options = parser.parse_args()
    start_logging(options.name or options.node.parent.name)
    try:
        file = read_node_file(options.node)
        if options.name:
            file = replace(file, name=options.name)
        start_logging(file.name)
        stage = os.environ.get("ORION_STAGE")
        if not stage:
            raise SettingsMissing("ORION_STAGE is not set")
        settings = read_settings(file, stage)
        if options.check:
            return 0 if asyncio.run(check(settings)) else 1
        asyncio.run(run(settings))
    except OrionError as exc:
        _log.critical("the agent stops", exc_info=exc)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
