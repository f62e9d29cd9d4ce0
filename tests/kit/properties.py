"""How hard the property tests try.

HOWDAH_SCALE=short (the default) gives the same examples in every run; HOWDAH_SCALE=full tries twenty times as many,
other ones each time. The pure build, many times slower, gets a third.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

import howdah

FULL = os.environ.get("HOWDAH_SCALE") == "full"


def scaled(count: int) -> int:
    """``count`` is what the compiled build tries in a short run."""
    return max(count * (20 if FULL else 1) // (1 if howdah.compiled else 3), 10)


def examples(count: int) -> settings:
    """A decorator for a property test that is to see ``scaled(count)`` examples."""
    return settings(
        max_examples=scaled(count),
        deadline=None,
        derandomize=not FULL,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
