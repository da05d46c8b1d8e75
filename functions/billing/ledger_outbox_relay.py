"""Sends what waits in the ledger's outbox."""

from orion.runtime.relay import relay_handler

handler = relay_handler("ledger")
