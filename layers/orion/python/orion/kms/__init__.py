"""Group seeds and the addresses under them. Only this package may import `orion.kms.keys`."""
