"""The default configuration, and copies of a configuration with one value changed."""

import copy
from pathlib import Path
from typing import Any

import yaml

CONFIG = Path(__file__).resolve().parents[2] / "config"
DEFAULT: dict[str, Any] = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
REMOVED = object()


def changed(path: str, value: Any, config: Any = DEFAULT) -> Any:
    """A copy of the configuration with the value at a dotted path replaced, added or removed."""
    copied = here = copy.deepcopy(config)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        here = here[part] if isinstance(here, list) else here.setdefault(part, {})
    if value is REMOVED:
        del here[last]
    else:
        here[last] = value
    return copied
