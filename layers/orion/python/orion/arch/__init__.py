"""Schemas, principals and migrations: what databases must be before a function runs."""
