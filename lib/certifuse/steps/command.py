"""Running a step from its script: options from the fields of its step, a log, errors of one line."""

import argparse
import dataclasses
import logging
import sys
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from certifuse.base.errors import OUT_OF_TIME_STATUS, USER_ERROR_STATUS, OutOfTimeError, UserError
from certifuse.base.machine import MENDS
from certifuse.study.steps.step import Step

BEGAN_S = time.monotonic()
"""When the process began: every script imports this module first, and PyTorch later."""

StepType = TypeVar("StepType", bound=Step)


def run_step(step: type[StepType], run: Callable[[StepType, Any], None], argv: Sequence[str] | None = None) -> None:
    """Read the command line of a step and run it: its log goes to standard error.

    A user's mistake is one line and exit status 2. A training that stored its state because its time is up says so in
    one line and exits with status 75.

    Args:
        step: the step, whose `Files` are the options.
        run: what the step does with its settings and files. It imports what is heavy itself, once the command is sound.
        argv: the command line; that of the process unless given.
    """
    parser = step_parser(step)
    arguments = vars(parser.parse_args(argv))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.captureWarnings(True)
    try:
        run(_settings(step, arguments.pop("settings")), _files(step, arguments))
    except UserError as error:
        for line in str(error).split("\n"):
            logging.error("error: %s", line)
        sys.exit(USER_ERROR_STATUS)
    except OutOfTimeError as error:
        logging.error("out of time: %s", error)
        sys.exit(OUT_OF_TIME_STATUS)
    except OSError as error:
        if error.errno not in MENDS:
            raise
        logging.error("error: %s: %s: %s", error.filename or "a file", error.strerror, MENDS[error.errno])
        sys.exit(USER_ERROR_STATUS)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, by name: this module does not import torch
            raise
        logging.error("error: the device is out of memory: lower batch_size (%s)", str(error).splitlines()[0])
        sys.exit(USER_ERROR_STATUS)


def step_parser(step: type[Step]) -> argparse.ArgumentParser:
    """The parser of a step: `--settings`, the JSON that the rule computed, and an option for each of its files."""
    parser = argparse.ArgumentParser(
        description=step.__doc__,
        epilog=f"The rule {step.rule} puts this command together; `snakemake --printshellcmds` shows it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--settings", required=True, metavar="JSON", help="settings of this step, as the rule has them")
    hints = get_type_hints(step.Files)
    for field in dataclasses.fields(step.Files):
        if field.metadata.get("option", True):
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            parser.add_argument(_option(field.name), required=required, **_kind(hints[field.name]), **_default(field))
    return parser


def _settings(step: type[StepType], text: str) -> StepType:
    try:
        return step.from_json(text)
    except ValidationError as error:
        lines = [
            f"--settings: {'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        ]
        raise UserError(*lines) from None


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _default(field: "dataclasses.Field[Any]") -> dict[str, Any]:
    return {} if field.default is dataclasses.MISSING else {"default": field.default}


def _kind(hint: Any) -> dict[str, Any]:
    """Arguments of `add_argument` for an option of this type: a value, or several where it is a tuple."""
    if get_origin(hint) is tuple:
        return {"nargs": "*", **_kind(get_args(hint)[0])}
    if get_origin(hint) in (Union, types.UnionType):
        (kind,) = (kind for kind in get_args(hint) if kind is not type(None))
        return _kind(kind)
    return {"type": hint, "metavar": "FILE" if hint is Path else hint.__name__.upper()}


def _files(step: type[Step], arguments: dict[str, Any]) -> Any:
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
    names = {field.name for field in dataclasses.fields(step.Files)}
    kind: Any = step.Files
    return kind(**given, **({"began_s": BEGAN_S} if "began_s" in names else {}))
