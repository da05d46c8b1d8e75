"""AWS services behind the modules' ports."""
