"""Write requirements.lock from the installed packages and the optional extras; repeat its pins in the environments."""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """# Every version of every package, all extras included: the constraints of all installations.
# Made by: make lock
"""


def pip(*arguments: str) -> str:
    """What this environment's pip prints."""
    command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def installed_pins() -> dict[str, str]:
    """Package and version, as installed for the workflow and for development."""
    lines = pip("freeze", "--all", "--exclude", "pip", "--exclude-editable").splitlines()
    # A CPU or CUDA build of torch has a local label; the lock names the public version, which both satisfy.
    return dict(re.sub(r"\+\S+$", "", line).split("==") for line in lines if "==" in line)


OPTIONAL = ("telemetry", "language")
"""Extras that neither the workflow nor development installs."""


def optional_pins(installed: dict[str, str]) -> dict[str, str]:
    """What pip would install for the optional extras beside the `installed` packages. It installs nothing."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    packages = [package for name in OPTIONAL for package in extras[name]]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write(as_lines(installed))
        constraints.flush()
        resolved = pip("install", "--dry-run", "--quiet", "--report", "-", "--constraint", constraints.name, *packages)
    found = [item["metadata"] for item in json.loads(resolved)["install"]]
    return {package["name"]: package["version"] for package in found}


def as_lines(pins: dict[str, str]) -> str:
    """One pin a line, by name."""
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items(), key=lambda pin: pin[0].lower()))


def main() -> None:
    """Rewrite the lock and the environments."""
    installed = installed_pins()
    pins = optional_pins(installed) | installed
    (ROOT / "requirements.lock").write_text(HEADER + as_lines(pins))
    for path in sorted((ROOT / "envs").glob("*.yaml")):
        text = re.sub(r"- ([A-Za-z0-9_.-]+)==\S+", lambda match: f"- {match[1]}=={pins[match[1]]}", path.read_text())
        path.write_text(text)


if __name__ == "__main__":
    main()
