"""What whoever runs Kvot may choose, and the secret that everything else is derived from."""

from kvot.settings.accepted import DATABASE, NotAccepted, SettingsError, is_key_text
from kvot.settings.providers import ProviderSettings
from kvot.settings.secret import read_secret
from kvot.settings.settings import (
    OWN_PROVIDERS,
    WORKERS_MAX,
    Settings,
    option,
    providers_of,
    variable,
    wants_no_colour,
)

__all__ = [
    "DATABASE",
    "OWN_PROVIDERS",
    "WORKERS_MAX",
    "NotAccepted",
    "ProviderSettings",
    "Settings",
    "SettingsError",
    "is_key_text",
    "option",
    "providers_of",
    "read_secret",
    "variable",
    "wants_no_colour",
]
