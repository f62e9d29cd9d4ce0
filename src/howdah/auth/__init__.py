"""Authentication: one file a mechanism, and the one table of SASL mechanisms that the client speaks."""

from __future__ import annotations

from howdah.auth import scram

# the SASL mechanisms, the preferred one first
MECHANISMS = {scram.MECHANISM: scram.Scram}
