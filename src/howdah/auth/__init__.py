"""Authentication: one file a mechanism, and the one table of SASL mechanisms that the client speaks."""

from __future__ import annotations

from howdah.auth.scram import Scram
from howdah.config.auth import SCRAM, SCRAM_PLUS

# the SASL mechanisms; config.auth says which of those on offer is used
MECHANISMS = {SCRAM_PLUS: Scram, SCRAM: Scram}
