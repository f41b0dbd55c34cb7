from certifuse.study.steps.gathering import CompareCells, Gather
from certifuse.study.steps.training import EvaluateBaselines, EvaluateFusion

MEMBER = rules.pretrain_expert.output.component


rule evaluate_baselines:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        experts=expand(MEMBER, member=EXPERTS, allow_missing=True),
        finetuned=rules.finetune_experts.output.experts if study.baselines.finetuned_average else [],
        single=lambda wildcards: targets.single_model(study, MEMBER, dict(wildcards.items()), SINGLE),
        wider=lambda wildcards: targets.single_model(study, MEMBER, dict(wildcards.items()), WIDER),
    output:
        metrics=f"{R}/{paths.BASELINE_METRICS}/metrics.csv",
        per_class=f"{R}/{paths.BASELINE_METRICS}/per_class.csv",
        calibration=f"{R}/{paths.BASELINE_METRICS}/calibration.csv",
        predictions=f"{R}/{paths.BASELINE_METRICS}/{paths.PREDICTIONS_FILE}",
        manifest=f"{R}/{paths.BASELINE_METRICS}/{paths.MANIFEST_FILE}",
    log:
        f"{R}/logs/{tasks.EVALUATE_BASELINES}.log",
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        run=program("evaluate_baselines"),
        settings=settings_of(EvaluateBaselines),
        source=source_of(EvaluateBaselines),
        directory=subpath(output.metrics, parent=True),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--images {input.images:q} --splits {input.splits:q} --experts {input.experts:q} --finetuned {input.finetuned:q} "
        "--single {input.single:q} --wider {input.wider:q} --output {params.directory:q} 2> {log:q}"


rule evaluate_fusion:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        components=rules.train_fusion.output.manifest,
    output:
        metrics=f"{R}/{paths.CELL_METRICS}/metrics.csv",
        per_class=f"{R}/{paths.CELL_METRICS}/per_class.csv",
        calibration=f"{R}/{paths.CELL_METRICS}/calibration.csv",
        predictions=f"{R}/{paths.CELL_METRICS}/{paths.PREDICTIONS_FILE}",
        manifest=f"{R}/{paths.CELL_METRICS}/{paths.MANIFEST_FILE}",
    log:
        f"{R}/logs/{tasks.EVALUATE_FUSION}.log",
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        run=program("evaluate_fusion"),
        settings=settings_of(EvaluateFusion),
        source=source_of(EvaluateFusion),
        components=subpath(input.components, parent=True),
        directory=subpath(output.metrics, parent=True),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--images {input.images:q} --splits {input.splits:q} --components {params.components:q} "
        "--output {params.directory:q} 2> {log:q}"


SCORES = targets.each(study.cells, rules.evaluate_fusion.output.metrics)
SCORES += targets.each(study.families, rules.evaluate_baselines.output.metrics)
LOGS = targets.each(study.cells, rules.train_fusion.output.csv)
PREDICTIONS = targets.each(study.cells, rules.evaluate_fusion.output.predictions)
PREDICTIONS += targets.each(study.families, rules.evaluate_baselines.output.predictions)


rule gather:
    input:
        targets.awaited(study, [*SCORES, *LOGS]),
    output:
        summary=report(
            f"{R}/{paths.SUMMARY}",
            caption="../workflow/report/tables.rst",
            category="Tables",
            labels={"table": "every score", "format": "CSV"},
        ),
        logs=f"{R}/{paths.LOGS}",
        calibration=f"{R}/{paths.CALIBRATION}",
        per_class=f"{R}/{paths.PER_CLASS}",
        missing=f"{R}/{paths.MISSING}",
        costs=f"{R}/{paths.COSTS}",
    log:
        f"{R}/logs/gather.log",
    localrule: True
    conda:
        "../envs/reporting.yaml"
    params:
        run=program("gather"),
        settings=settings_of(Gather),
        source=source_of(Gather),
        results=subpath(output.summary, ancestor=2),
        finished=targets.finished(study, SCORES),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} --results-dir {params.results:q} 2> {log:q}"


rule compare_cells:
    input:
        targets.awaited(study, PREDICTIONS),
    output:
        comparison=f"{R}/{paths.COMPARISON}",
    log:
        f"{R}/logs/compare_cells.log",
    localrule: True
    conda:
        "../envs/reporting.yaml"
    params:
        run=program("compare_cells"),
        settings=settings_of(CompareCells),
        source=source_of(CompareCells),
        results=subpath(output.comparison, ancestor=2),
        finished=targets.finished(study, PREDICTIONS),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} --results-dir {params.results:q} 2> {log:q}"
