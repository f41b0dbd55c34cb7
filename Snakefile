"""Certifuse: expert fusion from splits to certificates, figures and tables. See README.md."""

import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

ROOT = Path(workflow.current_basedir).resolve()
sys.path.insert(0, str(ROOT / "lib"))

from certifuse.base.errors import UserError
from certifuse.base.fingerprint import source_fingerprint
from certifuse.base.machine import require_writable
from certifuse.base.program import Program
from certifuse.study import paths, targets, tasks
from certifuse.study.cells import SINGLE, WIDER
from certifuse.study.reading.configuration_file import read_configuration
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.fusion import FUSIONS
from certifuse.study.settings.sublora import MODE_PATTERN
from certifuse.study.study import read_study

DEFAULT_CONFIG = ROOT / "config" / "config.yaml"

try:
    for file in workflow.overwrite_configfiles or [DEFAULT_CONFIG]:
        read_configuration(file)
except UserError as error:
    sys.exit(str(error))

if not workflow.overwrite_configfiles:

    configfile: DEFAULT_CONFIG


try:
    study = read_study(config, command_line=workflow.config_settings.config)
except UserError as error:
    sys.exit(str(error))

R = study.results_dir
SCRIPTS = ROOT / "workflow" / "scripts"
EXPERTS = [f"expert_{i}" for i in range(study.splits.experts)]
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join([str(ROOT / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])]),
    "CERTIFUSE_JOBS_PER_GPU": str(study.jobs_per_gpu),
}


def program(script, launcher="python"):
    """The beginning of the command of a rule."""
    return Program(SCRIPTS / f"{script}.py", ENVIRONMENT, launcher)


def settings_of(step):
    """The settings of a job of this step, as text: what its outputs depend on beside its inputs and its source."""
    return lambda wildcards: step.of(study, dict(wildcards.items())).text


def source_of(step):
    """The fingerprint of all source that a job of this step uses."""
    script = SCRIPTS / f"{step.rule}.py"
    return lambda wildcards: source_fingerprint(script, step.of(study, dict(wildcards.items())).modules())


def job_of(template):
    """The name of a job: rule and wildcards."""
    return lambda wildcards: template.format(**dict(wildcards.items()))


wildcard_constraints:
    **{"lambda": r"[0-9]+(\.[0-9]+)?"},
    architecture="|".join(ARCHITECTURE_SETTINGS),
    fusion="|".join(FUSIONS),
    seed="[0-9]+",
    member="|".join([SINGLE, WIDER, *EXPERTS]),
    d="[0-9]+",
    mode=MODE_PATTERN,
    levels="[0-9]+",
    ngram="uniform|unigram|bigram",


onstart:
    try:
        require_writable([Path(R)])
    except UserError as error:
        sys.exit(str(error))


report: "workflow/report/workflow.rst"


include: "rules/data.smk"
include: "rules/experts.smk"
include: "rules/fusion.smk"
include: "rules/evaluation.smk"
include: "rules/certificates.smk"


if study.sublora is not None:

    include: "rules/sublora.smk"


#REPORT


localrules:
    all,
    prepare_images,
    split_images,
    gather,
    compare_cells,
    gather_certificates,


rule all:
    default_target: True
    input:
        rules.gather.output,rules.compare_cells.output,rules.gather_certificates.output,rules.gather_sublora.output,rules.gather_gates.output
