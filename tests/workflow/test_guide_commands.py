"""Every command of docs/guide_commands.md: Snakemake's are dry-run, the tool's and the snippets run on a real study."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "guide_commands.md").read_text(encoding="utf-8")
EARLIER = "results/fusion_checkpoints/densenet_fusions_lambda_1.0/concatenation/seed_0/fusion/module.safetensors"
LEFT_ALONE = {"squeue", "scancel", "sinfo", "scontrol", "nvidia-smi", "tail", "pip", "kill", "source", "wandb", "make"}


def commands_of_the_page() -> list[str]:
    """What is in code in the columns "here" and "what differs", and the lines of bash blocks."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    found = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    for row in re.findall(r"^\| .* \|$", PAGE, flags=re.MULTILINE):
        cells = re.split(r"(?<!\\)\|", row)
        found += [code for cell in cells[3:5] for code in re.findall(r"`([^`]+)`", cell)]
    return [" ".join(command.split()) for command in dict.fromkeys(found)]


def starting_with(*programs: str) -> list[str]:
    return [command for command in commands_of_the_page() if command.split()[0] in programs and " " in command]


SNAKEMAKE = starting_with("snakemake", "CERTIFUSE_TELEMETRY=wandb")
TOOL = list(dict.fromkeys(command.removeprefix("watch -n 5 ") for command in starting_with("certifuse", "watch")))
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def targets(words: list[str]) -> list[str]:
    """The files that a command names."""
    return [word for word in words if word.startswith("results/")]


@pytest.fixture(scope="module")
def dry_runs(sources: Any, in_parallel: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each Snakemake command with -n, on the sources and the one earlier run that a command continues from."""
    tree = sources.copy(tmp_path_factory.mktemp("guides"))
    (tree.root / EARLIER).parent.mkdir(parents=True)
    (tree.root / EARLIER).touch()

    def dry_run(command: str) -> Any:
        words = shlex.split(command)
        at = words.index("snakemake") + 1
        return tree.run("env", *words[:at], *([] if "-n" in words else ["-n"]), *words[at:])

    return in_parallel(dry_run, {command: (command,) for command in SNAKEMAKE})


@pytest.mark.parametrize("command", SNAKEMAKE)
def test_snakemake_would_make_what_the_page_says(dry_runs: Any, parse: Any, command: str) -> None:
    planned = dry_runs[command].result()
    if "--unlock" in command:
        assert planned.returncode == 0, planned.stdout + planned.stderr
        return
    jobs = parse(planned)
    if "only_finished" in command:
        assert not any(job.startswith("train_fusion") for job in jobs)
        return
    assert jobs
    outputs = re.findall(r"^ {4}output: (.*)$", planned.stdout, flags=re.MULTILINE)
    made = {file for line in outputs for file in line.split(", ")}
    assert set(targets(shlex.split(command))) <= made


@pytest.mark.parametrize("command", TOOL)
def test_the_tool_answers(finished: Any, command: str) -> None:
    done = finished.run(*shlex.split(command))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) > 1


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_the_snippets_run(finished: Any, number: int) -> None:
    done = finished.run(sys.executable, "-W", "error", "-c", SNIPPETS[number])
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_files_that_the_page_names_exist(finished: Any) -> None:
    named = {word for command in starting_with("tail", "head", "ls") for word in targets(command.split())}
    assert len(named) == 4
    assert all((finished.root / name).exists() for name in named), named


def test_nothing_in_the_page_is_forgotten() -> None:
    """The negative control: code that looks like a command is run by a test above, or is of another program."""
    programs = {command.split()[0] for command in commands_of_the_page() if re.match(r"[a-z][a-z-]* [^ ]", command)}
    assert programs <= LEFT_ALONE | {"snakemake", "certifuse", "watch", "pytest", "head", "ls"}, programs
    assert len(SNAKEMAKE) >= 25
    assert len(TOOL) == 6
    assert len(SNIPPETS) == 2
