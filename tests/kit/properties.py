"""How hard the property tests try.

HOWDAH_SCALE=short (the default) gives the same examples in every run; HOWDAH_SCALE=full tries forty times as many,
other ones each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FULL = os.environ.get("HOWDAH_SCALE") == "full"


def scaled(count: int) -> int:
    """Twenty times ``count`` in a full run, half of it in a short one."""
    return max(count * 20 if FULL else count // 2, 10)


def examples(count: int) -> settings:
    """A decorator for a property test that is to see ``scaled(count)`` examples."""
    return settings(
        max_examples=scaled(count),
        deadline=None,
        derandomize=not FULL,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
