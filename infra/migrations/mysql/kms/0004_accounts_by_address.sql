-- Whoever sees an account on its chain knows its address and not its group.
ALTER TABLE custody_account ADD KEY at_address (chain, address);
