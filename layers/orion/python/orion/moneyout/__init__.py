"""Payouts: policy, approvals, signing by custodians and one effect each. Built later."""
