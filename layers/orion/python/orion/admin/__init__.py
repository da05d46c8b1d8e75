"""What operators do through the console: merchants' limits, lanes, freezes and approvals."""
