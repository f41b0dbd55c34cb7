"""The command of a training, as its manifest records it: where its files were, and the name of its job."""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from certifuse import layout

MANIFEST_OPTIONS = {"manifest": "", "output": "/certificate.json"}


@dataclass(frozen=True)
class Command:
    """A parsed command. `results` is the results directory as it was called when the command ran, if that is known."""

    script: str
    options: Mapping[str, Sequence[str]]
    results: str | None

    @classmethod
    def recorded(cls, words: Sequence[str], record: str) -> "Command":
        """From the words of a command, and the path below the results directory of the manifest that it wrote."""
        options: dict[str, list[str]] = {}
        values: list[str] = []
        for word in words[1:]:
            if word.startswith("--"):
                values = options.setdefault(word.removeprefix("--"), [])
            else:
                values.append(word)
        results = None
        for option, suffix in MANIFEST_OPTIONS.items():
            written = options.get(option, [""])[0] + suffix
            if written == record or written.endswith(f"/{record}"):
                results = written[: -len(record)].rstrip("/") or "."
                break
        return cls(posixpath.splitext(posixpath.basename(words[0]))[0] if words else "", options, results)

    @property
    def step(self) -> str:
        """The rule: the name of its script, but that one script trains both with fusion and without."""
        return "finetune_experts" if self.script == "train_fusion" and "fusion" not in self.options else self.script

    @property
    def job(self) -> str | None:
        """Rule and wildcards, which the directory of the resume state is named after."""
        path = self.path("resume-dir")
        return path.removeprefix(f"{layout.RESUME_DIR}/") if path else None

    def relative(self, path: str) -> str:
        """A path of the command from the results directory; unchanged where that cannot be said."""
        if self.results is None or posixpath.isabs(path) != posixpath.isabs(self.results):
            return path
        return posixpath.relpath(path, self.results)

    def path(self, option: str) -> str | None:
        """The path that an option gives, from the results directory."""
        values = self.options.get(option)
        return self.relative(values[0]) if values else None

    def input(self, name: str) -> str | None:
        """The path of a named input: `expert_1` is the second of `--experts`, any other has its own option."""
        kind, _, index = name.rpartition("_")
        listed = self.options.get(f"{kind}s", [])
        if index.isdecimal() and int(index) < len(listed):
            return self.relative(listed[int(index)])
        return self.path(name)
