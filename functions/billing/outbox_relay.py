"""Sends billing's outbox to Kafka and SQS."""

from orion.runtime.relay import relay_handler

handler = relay_handler("billing")
