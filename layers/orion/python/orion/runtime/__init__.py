"""Settings, entries and composition: the only place where adapters meet modules."""
