"""Permission to fetch what is absent. It changes nothing of what a source is, so no step runs again for it.

The settings strings of the steps leave it out; the rules hand it over as a resource, which is no reason to run again.
"""

from typing import Any

from certifuse.settings.base import Settings, SettingsType

KEY = "download"


def without_permission(source: Settings) -> dict[str, Any]:
    """The settings of a source as plain values, without the key."""
    return {key: value for key, value in source.plain().items() if key != KEY}


def permitting(source: SettingsType, permitted: bool) -> SettingsType:
    """The source as it is read: with the permission where that is given and it is one that can be fetched."""
    return source.model_copy(update={KEY: True}) if permitted and KEY in type(source).model_fields else source
