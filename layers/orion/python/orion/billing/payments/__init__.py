"""The deposits of a merchant as a list. Which payment is what, docs/payment-links.md says."""
