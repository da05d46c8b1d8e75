"""Sends what waits in the user module's outbox."""

from orion.runtime.relay import relay_handler

handler = relay_handler("user")
