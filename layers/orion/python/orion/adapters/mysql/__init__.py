"""Aurora MySQL, the system of record."""
