"""Asking exchanges: strangers, whose answers are not trusted."""
