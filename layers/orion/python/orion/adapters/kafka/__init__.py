"""Kafka producers, used by relays only."""
