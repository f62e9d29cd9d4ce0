"""The environment variables that stand in for settings which were not given (PostgreSQL manual, "Environment Variables").

They are read at each connect, below everything in the connection string and the keyword arguments. One that holds
something unusable is an error that names the variable's setting, never its value.
"""

from __future__ import annotations

import os

# the setting each variable stands for; PGTZ and PGDATESTYLE are startup parameters, not settings
VARIABLES = {
    "PGHOST": "host",
    "PGHOSTADDR": "hostaddr",
    "PGPORT": "port",
    "PGDATABASE": "dbname",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGPASSFILE": "passfile",
    "PGREQUIREAUTH": "require_auth",
    "PGCHANNELBINDING": "channel_binding",
    "PGOPTIONS": "options",
    "PGAPPNAME": "application_name",
    "PGCLIENTENCODING": "client_encoding",
    "PGCONNECT_TIMEOUT": "connect_timeout",
    "PGSSLMODE": "sslmode",
    "PGSSLNEGOTIATION": "sslnegotiation",
    "PGSSLROOTCERT": "sslrootcert",
    "PGSSLCERT": "sslcert",
    "PGSSLKEY": "sslkey",
    "PGSSLSNI": "sslsni",
    "PGSSLMINPROTOCOLVERSION": "ssl_min_protocol_version",
    "PGSSLMAXPROTOCOLVERSION": "ssl_max_protocol_version",
    "PGMINPROTOCOLVERSION": "min_protocol_version",
    "PGMAXPROTOCOLVERSION": "max_protocol_version",
}
STARTUP_PARAMETERS = {"PGDATESTYLE": "datestyle", "PGTZ": "timezone", "PGGEQO": "geqo"}


def settings_of_environment() -> dict[str, str]:
    """The settings that the environment gives."""
    return {key: os.environ[name] for name, key in VARIABLES.items() if name in os.environ}


def startup_parameters_of_environment() -> dict[str, str]:
    """Startup parameters that the environment gives, as libpq sends them; ``default`` leaves a parameter to the server."""
    found = {}
    for name, key in STARTUP_PARAMETERS.items():
        value = os.environ.get(name, "")
        if value and value.lower() != "default":
            found[key] = value
    return found
