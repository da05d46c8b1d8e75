"""Which groups may be made because wallets were asked for. Whoever may write `wallet.requests`
decides nothing more than when the next group begins, and that not often.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from orion.kms.errors import GroupOutOfTurn, GroupsMadeTooFast

# moneyin's pool asks for at most 500 wallets a minute, three groups an hour.
MADE_MAX = 6
MADE_WITHIN = timedelta(hours=1)


def judged_by(group_no: int) -> range:
    """The groups whose times of making decide about this one: itself and those right before."""
    return range(max(0, group_no - MADE_MAX), group_no + 1)


def check_turn(group_no: int, made_at: Mapping[int, datetime], now: datetime) -> None:
    """Refuse a group that must not be made yet; `made_at` are those of `judged_by` that exist.

    The first group of a stage is nobody's successor: a person makes it. Raises GroupOutOfTurn,
    GroupsMadeTooFast (which a later request no longer meets).
    """
    if group_no - 1 not in made_at:
        raise GroupOutOfTurn("a request makes only the group after an existing one", group=group_no)
    if sum(at > now - MADE_WITHIN for at in made_at.values()) >= MADE_MAX:
        raise GroupsMadeTooFast(
            f"the {MADE_MAX} groups before it were made within an hour", group=group_no
        )
