"""Checkout sessions: one purchase each, an invoice and where the customer goes afterwards."""
