# The names of a cell beside its architecture and seed.
CELL_OPTIONS = "--fusion {wildcards.fusion} --lambda {wildcards.lam}"
# A cell starts from the experts, or from the earlier components that the study names.
START = EXPERT_DATA | {"initial": lambda wildcards: targets.initial_components(study, wildcards)}


rule train_fusion:
    input:
        **START,
    output:
        **declared.cell_files(R, study.splits.experts),
    log:
        f"{R}/logs/{tasks.TRAIN_FUSION}.log",
    benchmark:
        f"{R}/benchmarks/{tasks.TRAIN_FUSION}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        **declared.working_directories(R, tasks.TRAIN_FUSION),
        settings=lambda wildcards: study.for_fusion(wildcards.architecture, wildcards.fusion),
        source=source_fingerprint(SCRIPTS / "train_fusion.py"),
    shell:
        f'python "$SCRIPTS/train_fusion.py" --architecture {{wildcards.architecture}} {CELL_OPTIONS} {FUSION_OPTIONS}'
