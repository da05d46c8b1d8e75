"""What merchants pay for payments, and who shares in it. Written down first in docs/fees.md."""
