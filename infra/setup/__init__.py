"""Installation of what a fresh Debian 12 lacks, and typed look-up of what was installed."""
