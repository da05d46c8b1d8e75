"""Invoices, rates, balances and webhooks: what a merchant asks to be paid, and what it is told
about it.
"""
