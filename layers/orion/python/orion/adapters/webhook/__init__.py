"""Calling merchants' servers: strangers, whose names, addresses and answers are not trusted."""
