"""The beginning of a command, and where an interpreter finds the package."""

import subprocess
from pathlib import Path

from certifuse.base.program import Program, WorkflowFile, directory_of_package


def test_a_command_sets_variables_for_itself_alone(tmp_path: Path) -> None:
    script = tmp_path / "it's a script.sh"
    script.write_text('echo "$ONE"\n', encoding="utf-8")
    command = str(Program(script, {"ONE": "a 'b' $c"}, "sh"))
    done = subprocess.run(f'{command}; echo "${{ONE-unset}}"', shell=True, capture_output=True, text=True, env={})
    assert done.stdout == "a 'b' $c\nunset\n"


def test_a_file_of_the_workflow_is_one_word_of_a_command_and_no_text(tmp_path: Path) -> None:
    file = WorkflowFile(tmp_path / "it's a file.rst")
    done = subprocess.run(f"printf '%s\n' {file}", shell=True, capture_output=True, text=True)
    assert done.stdout == f"{file.path}\n"
    assert not isinstance(file, str)


def package(root: Path, *neighbours: str) -> Path:
    for name in ("certifuse", *neighbours):
        (root / name).mkdir(parents=True)
    return root / "certifuse"


def test_the_directory_of_a_checkout_is_taken_as_it_is(tmp_path: Path) -> None:
    links = tmp_path / "links"
    alone = package(tmp_path / "lib", "certifuse.egg-info")
    assert directory_of_package(alone, links) == tmp_path / "lib"
    assert not links.exists()


def test_an_installed_package_is_linked_without_its_neighbours(tmp_path: Path) -> None:
    links = tmp_path / "links"
    first, second = (package(tmp_path / name, "certifuse-0.1.0.dist-info", "numpy") for name in ("one", "two"))
    directories = [directory_of_package(each, links) for each in (first, second, first)]
    assert directories[0] == directories[2] != directories[1]
    assert [path.name for path in directories[0].iterdir()] == ["certifuse"]
    assert [(directory / "certifuse").resolve() for directory in directories] == [first, second, first]
