"""Permission to fetch what is absent. It changes nothing of what a source is, so no step runs again for it.

The settings strings of the steps leave it out; the rules hand it over as a resource, which is no reason to run again.
"""

from typing import Any

from certifuse.settings.base import Settings, SettingsType

KEY = "download"


def without_permission(source: Settings) -> dict[str, Any]:
    """The settings of a source as plain values, without the key."""
    return {key: value for key, value in source.plain().items() if key != KEY}


def with_permission(source: SettingsType, permitted: bool) -> SettingsType:
    """The source as it is read: `permitted` or not, whatever its settings say, where it is one that can be fetched."""
    return source.model_copy(update={KEY: permitted}) if KEY in type(source).model_fields else source
