"""What every script of the workflow shares: options, logging to standard error, one-line errors."""

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from certifuse.base.errors import OUT_OF_TIME_STATUS, USER_ERROR_STATUS, OutOfTimeError, UserError
from certifuse.base.machine import MENDS

BEGAN_S = time.monotonic()
"""When the process began: every script imports this module first, and PyTorch later."""
SAVE_INTERVAL = "CERTIFUSE_SAVE_INTERVAL_S"
"""Environment variable: seconds between stored states of a training. No setting, because no result depends on it."""


def step_parser(description: str, example: str) -> argparse.ArgumentParser:
    """A parser with `--settings`, which takes the JSON text that the rule computed from the configuration."""
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--settings", required=True, metavar="JSON", help="settings of this step, as the rule gives them"
    )
    return parser


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """The options of all steps that train on images."""
    add_file_options(parser, "images", "splits")
    add_run_options(parser)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options that all training steps have."""
    add_file_options(parser, "log-file", "manifest")
    parser.add_argument("--seed", type=int, required=True, help="seed of weights, order and augmentation")
    parser.add_argument("--resume-dir", type=Path, required=True, help="where the state of an unfinished run is kept")
    parser.add_argument("--telemetry-dir", type=Path, required=True, help="where CERTIFUSE_TELEMETRY's writers write")
    parser.add_argument("--source", required=True, help="fingerprint of the source that runs")
    seconds = float(os.environ.get(SAVE_INTERVAL, "120"))
    parser.add_argument("--save-interval-s", type=float, default=seconds, help=f"between stored states ({seconds:g})")
    parser.add_argument("--time-budget-min", type=float, help="store and stop before so many minutes (no limit)")
    parser.set_defaults(began_s=BEGAN_S)


def add_file_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Required options that each take one path."""
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")


def add_download_option(parser: argparse.ArgumentParser) -> None:
    """The permission to fetch what is absent, which is no part of the settings: no result depends on it."""
    parser.add_argument("--download", type=int, choices=(0, 1), default=0, help="1: fetch what is absent (0)")


def run_step(step: Callable[[], None]) -> None:
    """Run a step: its log goes to standard error; a user's mistake is one line and exit status 2.

    A training that stored its state because its time is up says so in one line and exits with status 75.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.captureWarnings(True)
    try:
        step()
    except UserError as error:
        for line in str(error).splitlines():
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
