"""Whether the system is well. Incident playbooks come to this room later."""
