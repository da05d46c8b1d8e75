"""What follows from a code alone, worked out once: thousands of transfers a batch ask for it."""

from orion.ledger.codes import (
    CODES,
    MADE_BESIDE,
    OF_THE_CHAIN,
    RULES,
    Code,
    CodeRule,
    Kind,
    debit_decides,
)


class Shape:
    """What follows from a code alone."""

    __slots__ = (
        "credit_rule", "debit_decides", "debit_rule", "joins", "kinds", "leg", "pays_out", "repays",
        "shortfall",
    )  # fmt: skip

    def __init__(self, code: Code, rule: CodeRule) -> None:
        self.leg = code is Code.LEG
        self.joins = {(rule.debit, rule.credit)}
        if self.leg:
            pairs = {(purpose, rule.credit) for purpose in OF_THE_CHAIN}
            self.joins = pairs | {(credit, debit) for debit, credit in pairs}
        # Of the ledger's own codes only legs travel; the others are never asked for.
        self.kinds = frozenset[Kind]() if code in MADE_BESIDE else rule.kinds
        self.shortfall = rule.shortfall
        self.pays_out = rule.pays_out
        self.repays = rule.repays
        self.debit_rule = RULES[rule.debit]
        self.credit_rule = RULES[rule.credit]
        self.debit_decides = debit_decides(rule.debit, rule.credit)


SHAPES = {code: Shape(code, rule) for code, rule in CODES.items()}
