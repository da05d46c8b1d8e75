"""Ports of the modules implemented over real systems."""
