# The end of every evaluation command; each rule puts its own options before.
EVALUATION_OPTIONS = (
    "--settings {params.settings:q} --architecture {wildcards.architecture} --seed {wildcards.seed} "
    "--images {input.images} --splits {input.splits} --output {params.directory} 2> {log}"
)


rule evaluate_baselines:
    input:
        **DATA,
        experts=rules.finetune_experts.input.experts,
        finetuned=rules.finetune_experts.output.experts if study.baselines.finetuned_average else [],
        single=lambda wildcards: selection.single_model(study, rules.pretrain_expert.output.component, wildcards),
    output:
        **declared.score_files(f"{R}/{layout.BASELINE_METRICS}"),
    log:
        f"{R}/logs/{tasks.EVALUATE_BASELINES}.log",
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        settings=study.for_evaluation(),
        source=source_fingerprint(SCRIPTS / "evaluate_baselines.py"),
        directory=subpath(output.metrics, parent=True),
    shell:
        'python "$SCRIPTS/evaluate_baselines.py" --experts {input.experts} --finetuned {input.finetuned} '
        f"--single {{input.single}} {EVALUATION_OPTIONS}"


rule evaluate_fusion:
    input:
        **DATA,
        components=rules.train_fusion.output.manifest,
    output:
        **declared.score_files(f"{R}/{layout.CELL_METRICS}"),
    log:
        f"{R}/logs/{tasks.EVALUATE_FUSION}.log",
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        settings=study.for_evaluation(),
        source=source_fingerprint(SCRIPTS / "evaluate_fusion.py"),
        components=subpath(input.components, parent=True),
        directory=subpath(output.metrics, parent=True),
    shell:
        'python "$SCRIPTS/evaluate_fusion.py" --fusion {wildcards.fusion} --lambda {wildcards.lam} '
        f"--components {{params.components}} {EVALUATION_OPTIONS}"


CELL = rules.evaluate_fusion.output
BASELINE = rules.evaluate_baselines.output
TABLE = {"caption": "../workflow/report/tables.rst", "category": "Tables"}


rule gather:
    input:
        selection.cell_files(study, [CELL.metrics, rules.train_fusion.output.csv]),
        selection.family_files(study, BASELINE.metrics),
    output:
        summary=report(f"{R}/{layout.SUMMARY}", **TABLE, labels={"table": "every score", "format": "CSV"}),
        logs=f"{R}/{layout.LOGS}",
        calibration=f"{R}/{layout.CALIBRATION}",
        per_class=f"{R}/{layout.PER_CLASS}",
        missing=f"{R}/{layout.MISSING}",
        costs=f"{R}/{layout.COSTS}",
    log:
        f"{R}/logs/gather.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_gathering(),
        source=source_fingerprint(SCRIPTS / "gather.py"),
        results=subpath(output.summary, ancestor=2),
        finished=selection.finished(study, CELL.metrics, BASELINE.metrics),
    shell:
        'python "$SCRIPTS/gather.py" --settings {params.settings:q} --results-dir {params.results} 2> {log}'


rule compare_cells:
    input:
        selection.cell_files(study, [CELL.predictions]),
        selection.family_files(study, BASELINE.predictions),
    output:
        comparison=f"{R}/{layout.COMPARISON}",
    log:
        f"{R}/logs/compare_cells.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_comparison(),
        source=source_fingerprint(SCRIPTS / "compare_cells.py"),
        results=subpath(output.comparison, ancestor=2),
        finished=selection.finished(study, CELL.predictions, BASELINE.predictions),
    shell:
        'python "$SCRIPTS/compare_cells.py" --settings {params.settings:q} --results-dir {params.results} 2> {log}'
