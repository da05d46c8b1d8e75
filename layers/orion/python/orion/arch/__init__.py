"""Schemas, principals and migrations: what has to be true of the databases before a function runs."""
