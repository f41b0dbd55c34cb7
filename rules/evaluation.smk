# The end of every evaluation command; each rule puts its own options before.
EVALUATION_OPTIONS = (
    "--settings {params.settings:q} --architecture {wildcards.architecture} --seed {wildcards.seed} "
    "--images {input.images} --splits {input.splits} --output {params.directory} 2> {log}"
)
# The same for what is put together from the components of a cell.
COMPONENT_OPTIONS = f"--components {{params.components}} {EVALUATION_OPTIONS}"
BASELINE_OPTIONS = (
    "--experts {input.experts} --finetuned {input.finetuned} --single {input.single} --wider {input.wider}"
)
MEMBER = rules.pretrain_expert.output.component
# The models on all training images that an (architecture, seed) has.
SINGLE_MODELS = {
    "single": lambda wildcards: targets.single_model(study, MEMBER, wildcards),
    "wider": lambda wildcards: targets.single_model(study, MEMBER, wildcards, paths.WIDER),
}


rule evaluate_baselines:
    input:
        **EXPERT_DATA,
        **SINGLE_MODELS,
        finetuned=rules.finetune_experts.output.experts if study.baselines.finetuned_average else [],
    output:
        **declared.score_files(f"{R}/{paths.BASELINE_METRICS}"),
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
        f'python "$SCRIPTS/evaluate_baselines.py" {BASELINE_OPTIONS} {EVALUATION_OPTIONS}'


rule evaluate_fusion:
    input:
        **DATA,
        components=rules.train_fusion.output.manifest,
    output:
        **declared.score_files(f"{R}/{paths.CELL_METRICS}"),
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
        f'python "$SCRIPTS/evaluate_fusion.py" {CELL_OPTIONS} {COMPONENT_OPTIONS}'


CELL = rules.evaluate_fusion.output
BASELINE = rules.evaluate_baselines.output
LOG = rules.train_fusion.output.csv
PREDICTIONS = targets.fusion_files(study, [CELL.predictions], BASELINE.predictions)
TABLE = {"caption": "../workflow/report/tables.rst", "category": "Tables"}
# The command of everything that gathers results.
GATHERING_OPTIONS = "--settings {params.settings:q} --results-dir {params.results} 2> {log}"


rule gather:
    input:
        targets.awaited(study, targets.fusion_files(study, [CELL.metrics, LOG], BASELINE.metrics)),
    output:
        **declared.gathered_tables(R),
        summary=report(f"{R}/{paths.SUMMARY}", **TABLE, labels={"table": "every score", "format": "CSV"}),
    log:
        f"{R}/logs/gather.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_gathering(),
        source=source_fingerprint(SCRIPTS / "gather.py"),
        results=subpath(output.summary, ancestor=2),
        finished=targets.finished(study, targets.fusion_files(study, [CELL.metrics], BASELINE.metrics)),
    shell:
        f'python "$SCRIPTS/gather.py" {GATHERING_OPTIONS}'


rule compare_cells:
    input:
        targets.awaited(study, PREDICTIONS),
    output:
        comparison=f"{R}/{paths.COMPARISON}",
    log:
        f"{R}/logs/compare_cells.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_comparison(),
        source=source_fingerprint(SCRIPTS / "compare_cells.py"),
        results=subpath(output.comparison, ancestor=2),
        finished=targets.finished(study, PREDICTIONS),
    shell:
        f'python "$SCRIPTS/compare_cells.py" {GATHERING_OPTIONS}'
