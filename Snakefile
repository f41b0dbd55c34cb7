"""Certifuse: expert fusion from splits to certificates, figures and tables. See README.md."""

import sys
from pathlib import Path
from shlex import quote

from snakemake.utils import min_version

min_version("9.0")

ROOT = Path(workflow.current_basedir).resolve()
sys.path.insert(0, str(ROOT / "lib"))

from certifuse.base.errors import UserError
from certifuse.base.fingerprint import source_fingerprint
from certifuse.base.machine import require_writable
from certifuse.study import declared, paths, targets, tasks
from certifuse.study.reading.configuration_file import read_configuration
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.figures import CERTIFICATE_FIGURES, FIGURES
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

# One line before every command. cuBLAS must know its workspace before CUDA starts. The scripts are a shell variable
# because an absolute path among the params would rerun all in a moved copy.
shell.prefix(
    f"set -euo pipefail; SCRIPTS={quote(str(SCRIPTS))}; "
    f"export PYTHONPATH={quote(str(ROOT / 'lib'))}${{{{PYTHONPATH:+:$PYTHONPATH}}}} CUBLAS_WORKSPACE_CONFIG=:4096:8 "
    f"CERTIFUSE_JOBS_PER_GPU={study.jobs_per_gpu}; "
)


wildcard_constraints:
    architecture="|".join(ARCHITECTURE_SETTINGS),
    fusion="|".join(FUSIONS),
    lam=r"[0-9]+(\.[0-9]+)?",
    seed="[0-9]+",
    member="|".join([paths.SINGLE, paths.WIDER, *EXPERTS]),
    figure="|".join(FIGURES),
    dim="[0-9]+",
    certificate_figure="|".join(CERTIFICATE_FIGURES),
    d="[0-9]+",
    mode=MODE_PATTERN,
    levels="[0-9]+",
    ngram="uniform|unigram|bigram",
    sublora_figure=targets.exactly(targets.CERTIFIED_FIGURES),


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
include: "rules/reporting.smk"
include: "rules/certificates.smk"


if study.sublora is not None:

    include: "rules/sublora.smk"


localrules:
    all,
    prepare_images,
    split_images,
    gather,
    compare_cells,
    draw_figure,
    write_tables,
    gather_certificates,
    draw_certificate_figure,
    write_certificate_tables,


FUSED = [*rules.write_tables.output, *expand(rules.draw_figure.output, figure=FIGURES)]
CERTIFIED = [
    *rules.write_certificate_tables.output,
    *expand(rules.draw_certificate_figure.output, certificate_figure=CERTIFICATE_FIGURES),
]


rule all:
    default_target: True
    input:
        FUSED if study.grid else [],
        CERTIFIED if study.certificates.blocks else [],
        SUBLORA if study.sublora is not None else [],
