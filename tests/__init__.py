"""A package of its own name: bitcoinlib installs another `tests`, which else would come first."""
