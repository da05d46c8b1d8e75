"""Invoices, payments and statements as CSV, in parts of bounded size."""
