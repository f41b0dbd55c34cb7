"""Which rules are never submitted: a dry-run does not say."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def local_rules() -> set[str]:
    """The rules that run where Snakemake runs, by their text."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])
    parts = re.split(r"^ *rule (\w+):", text, flags=re.MULTILINE)[1:]
    return {name for name, body in zip(parts[::2], parts[1::2], strict=True) if "localrule: True" in body}
