SCORES = [
    "metrics.csv",
    "per_class.csv",
    "calibration.csv",
    "predictions.safetensors",
    "runtime.json",
]


rule evaluate_baselines:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        experts=rules.finetune_experts.input.experts,
        finetuned=(
            rules.finetune_experts.output.experts
            if study.baselines.finetuned_average
            else []
        ),
        single=lambda wildcards: selection.single_model(
            study, rules.pretrain_expert.output.component, wildcards
        ),
    output:
        expand(
            f"{R}/{layout.BASELINE_METRICS}/{{file}}", file=SCORES, allow_missing=True
        ),
    log:
        f"{R}/logs/evaluate_baselines/{{architecture}}_seed_{{seed}}.log",
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        settings=study.for_evaluation(),
        source=source_fingerprint(SCRIPTS / "evaluate_baselines.py"),
        directory=subpath(output[0], parent=True),
    shell:
        'python "$SCRIPTS/evaluate_baselines.py" --settings {params.settings:q} --architecture {wildcards.architecture} '
        "--seed {wildcards.seed} --images {input.images} --splits {input.splits} --experts {input.experts} "
        "--finetuned {input.finetuned} --single {input.single} --output {params.directory} 2> {log}"


rule evaluate_fusion:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        components=rules.train_fusion.output.manifest,
    output:
        expand(f"{R}/{layout.CELL_METRICS}/{{file}}", file=SCORES, allow_missing=True),
    log:
        f"{R}/logs/evaluate_fusion/{{architecture}}_{{fusion}}_lambda_{{lam}}_seed_{{seed}}.log",
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        settings=study.for_evaluation(),
        source=source_fingerprint(SCRIPTS / "evaluate_fusion.py"),
        components=subpath(input.components, parent=True),
        directory=subpath(output[0], parent=True),
    shell:
        'python "$SCRIPTS/evaluate_fusion.py" --settings {params.settings:q} --architecture {wildcards.architecture} '
        "--fusion {wildcards.fusion} --lambda {wildcards.lam} --seed {wildcards.seed} --images {input.images} "
        "--splits {input.splits} --components {params.components} --output {params.directory} 2> {log}"


rule gather:
    input:
        selection.cell_files(
            study, [f"{R}/{layout.CELL_METRICS}/metrics.csv", f"{R}/{layout.CELL_LOG}"]
        ),
        selection.family_files(study, f"{R}/{layout.BASELINE_METRICS}/metrics.csv"),
    output:
        summary=report(
            f"{R}/{layout.SUMMARY}",
            caption="../workflow/report/tables.rst",
            category="Tables",
            labels={"table": "every score", "format": "CSV"},
        ),
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
        finished=selection.finished(
            study,
            f"{R}/{layout.CELL_METRICS}/metrics.csv",
            f"{R}/{layout.BASELINE_METRICS}/metrics.csv",
        ),
    shell:
        'python "$SCRIPTS/gather.py" --settings {params.settings:q} --results-dir {params.results} 2> {log}'


rule compare_cells:
    input:
        selection.cell_files(
            study, [f"{R}/{layout.CELL_METRICS}/predictions.safetensors"]
        ),
        selection.family_files(
            study, f"{R}/{layout.BASELINE_METRICS}/predictions.safetensors"
        ),
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
        finished=selection.finished(
            study,
            f"{R}/{layout.CELL_METRICS}/predictions.safetensors",
            f"{R}/{layout.BASELINE_METRICS}/predictions.safetensors",
        ),
    shell:
        'python "$SCRIPTS/compare_cells.py" --settings {params.settings:q} --results-dir {params.results} 2> {log}'
