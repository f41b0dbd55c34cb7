"""The program as a whole: help, version, wrong command lines, errors of the system."""

import os
import subprocess
import sys

import pytest

from certifuse import __version__
from certifuse.cli.main import main

COMMANDS = [
    *(["status"], ["components"], ["bound"], ["export"]),
    *(["components", action] for action in ("list", "reconstruct", "load-complete", "evaluate")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert command == ["components"] or f"\n  certifuse {' '.join(command)} " in out


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"certifuse {__version__}\n"


def test_the_parser_imports_no_torch():
    code = "import sys, certifuse.cli.main as m; m.program_parser(); print({'torch', 'scipy', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["status", "--unknown"],
        ["components"],
        ["components", "unknown"],
        ["components", "list"],
        ["components", "reconstruct", "--num-experts", "0"],
        ["components", "reconstruct", "--num-experts", "two"],
        ["components", "reconstruct", "--seed", "x"],
        ["components", "evaluate", "somewhere"],
        ["components", "evaluate", "--images", "x", "--split", "train"],
        ["components", "load-complete"],
        ["bound", "--loss", "zero-one", "--risk", "0.1", "--bits", "10"],
    ],
    ids=" ".join,
)
def test_wrong_command_lines(arguments, refused):
    refused(*arguments)


def test_unreadable_file_is_one_line(monkeypatch, refused):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied", "some/file")

    monkeypatch.setattr("certifuse.cli.status.command.study_in", denied)
    assert refused("status") == "error: some/file: Permission denied\n"


def test_as_a_program_without_traceback(tmp_path):
    command = [sys.executable, "-c", "import sys; from certifuse.cli.main import main; sys.exit(main())"]
    done = subprocess.run([*command, "components", "list", "absent"], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: absent: expected a directory of components, found none: check the path\n"


def test_reader_that_goes_away(tmp_path):
    code = "import sys; from certifuse.cli.main import main; sys.exit(main())"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code, "components", "list", tmp_path], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
