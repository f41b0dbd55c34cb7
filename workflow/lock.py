"""Write requirements.lock from the installed packages, and repeat its pins in the conda environments."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """# Every version of every package, for running and for development: the constraints of all installations.
# Made by: make lock
"""


def main() -> None:
    """Rewrite the lock and the environments."""
    command = [sys.executable, "-m", "pip", "freeze", "--exclude-editable", "--disable-pip-version-check"]
    frozen = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # A CPU or CUDA build of torch has a local label; the lock names the public version, which both satisfy.
    pins = dict(re.sub(r"\+\S+$", "", line).split("==") for line in frozen.splitlines() if "==" in line)
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(pins.items(), key=lambda pin: pin[0].lower()))
    (ROOT / "requirements.lock").write_text(HEADER + lines)
    for path in sorted((ROOT / "envs").glob("*.yaml")):
        text = re.sub(r"- ([A-Za-z0-9_.-]+)==\S+", lambda match: f"- {match[1]}=={pins[match[1]]}", path.read_text())
        path.write_text(text)


if __name__ == "__main__":
    main()
