"""Payment links: reusable addresses at which each visitor gets an invoice."""
