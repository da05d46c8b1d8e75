"""Adapters that speak to PostgreSQL."""
