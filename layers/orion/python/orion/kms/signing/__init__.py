"""The signers beside the custodians: sweeps, executor and fee payer, Tron's handover; and what is
said about custody in public.
"""
