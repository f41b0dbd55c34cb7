rule train_fusion:
    input:
        **DATA,
        experts=rules.finetune_experts.input.experts,
        initial=lambda wildcards: selection.initial_components(study, wildcards),
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
        'python "$SCRIPTS/train_fusion.py" --architecture {wildcards.architecture} --fusion {wildcards.fusion} '
        f"--lambda {{wildcards.lam}} --experts {{input.experts}} {TRAINING_OPTIONS}"
