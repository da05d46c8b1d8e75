"""Payouts: policy, approvals, reservation in the ledger, signing 3 of 5, broadcast and follow-up."""
