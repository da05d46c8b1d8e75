"""How much left in the last 24 hours: whole hours are counted, never fewer than 24 of them.

The window of a moment at 10:20 holds everything since 10:00 of the day before: between 24 and 25
hours, so it may count too much and never too little. A worked number: 7 units at 10:10 yesterday
still count at 10:20 today and no longer at 11:00.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

HOUR_S = 3_600
WINDOW_HOURS = 24
# Hours are forgotten two hours late: a clock that is ahead takes nothing from one that is not.
KEPT_HOURS = WINDOW_HOURS + 2
MAX_HOURS = 64


@dataclass(frozen=True, slots=True)
class Window:
    """Units by hour since 1970. `revision` counts changes; a change names the one it rests on."""

    revision: int = 0
    hours: Mapping[int, int] = field(default_factory=dict)

    def spent(self, now: datetime) -> int:
        """Units of the last 24 hours or a little more. What a faster clock wrote counts too."""
        oldest = hour_of(now) - WINDOW_HOURS
        return sum(units for hour, units in self.hours.items() if hour >= oldest)

    def added(self, units: int, now: datetime) -> "Window":
        """With `units` more in this hour, and without hours that nobody counts any more."""
        this_hour = hour_of(now)
        hours = {h: u for h, u in self.hours.items() if h >= this_hour - KEPT_HOURS}
        hours[this_hour] = hours.get(this_hour, 0) + units
        return Window(self.revision + 1, hours)


def hour_of(moment: datetime) -> int:
    """Whole hours since 1970."""
    return int(moment.timestamp()) // HOUR_S
