"""Certifuse: expert fusion from splits to certificates, figures and tables. See README.md."""

import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


include: "rules/library.smk"
include: "rules/common.smk"


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
        require_writable([Path(RESULTS)])
    except UserError as error:
        stop(error)


report: "workflow/report/workflow.rst"


include: "rules/data.smk"
include: "rules/experts.smk"
include: "rules/fusion.smk"
include: "rules/evaluation.smk"
include: "rules/certificates.smk"


if study.sublora is not None:

    include: "rules/sublora.smk"


include: "rules/reporting.smk"


rule all:
    default_target: True
    input:
        expand(rules.draw_figure.output, figure=study.drawings),
        rules.write_tables.output if study.grid else [],
        rules.write_certificate_tables.output if study.certificates.blocks else [],
        rules.write_sublora_tables.output if study.sublora is not None else [],
        rules.write_start_page.output,
    localrule: True
