"""Sends the log module's outbox to Kafka."""

from orion.runtime.relay import relay_handler

handler = relay_handler("log")
