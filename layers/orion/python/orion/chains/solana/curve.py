"""Whether 32 bytes are a point of Ed25519: what tells a key that may sign from a derived address.

Source: RFC 8032, section 5.1.3 (decompression), read as Solana's runtime does (crate
curve25519-dalek): y is taken modulo p, and the sign of x = 0 is not looked at.
"""

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_Y_MASK = 2**255 - 1


def is_on_curve(key: bytes) -> bool:
    """Whether some x belongs to the y of these 32 bytes, little-endian.

    x^2 = (y^2 - 1) / (d y^2 + 1). The divisor is never zero, because -1 is a square and d is none;
    so the quotient is a square when the product is one (Euler's criterion).
    """
    y = (int.from_bytes(key, "little") & _Y_MASK) % _P
    square = y * y % _P
    product = (square - 1) * (_D * square + 1) % _P
    return pow(product, (_P - 1) // 2, _P) in {0, 1}
