"""The audit book: every module's audit events in segments that are written once."""
