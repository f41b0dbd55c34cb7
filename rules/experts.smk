TRAINING = {
    "gpu": 1,
    "cpus_per_task": max(4, study.execution.threads),
    "mem_mb": 32000,
    "runtime": 720,
    "slurm_partition": "gpu",
}

# The end of every training command; each rule puts its own options before.
RUN_OPTIONS = (
    "--settings {params.settings:q} --source {params.source} --seed {wildcards.seed} "
    "--manifest {output.manifest} --log-file {output.csv} "
    "--resume-dir {params.resume} --telemetry-dir {params.telemetry} 2> {log}"
)
TRAINING_OPTIONS = f"--images {{input.images}} --splits {{input.splits}} {RUN_OPTIONS}"


rule pretrain_expert:
    input:
        **DATA,
    output:
        **declared.member_files(R),
    log:
        f"{R}/logs/{tasks.PRETRAIN_EXPERT}.log",
    benchmark:
        f"{R}/benchmarks/{tasks.PRETRAIN_EXPERT}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        **declared.working_directories(R, tasks.PRETRAIN_EXPERT),
        settings=lambda wildcards: study.for_pretraining(wildcards.architecture),
        source=source_fingerprint(SCRIPTS / "pretrain_expert.py"),
    shell:
        'python "$SCRIPTS/pretrain_expert.py" --member {wildcards.member} --output {output.component} '
        f"{TRAINING_OPTIONS}"


rule finetune_experts:
    input:
        **DATA,
        experts=expand(rules.pretrain_expert.output.component, member=EXPERTS, allow_missing=True),
    output:
        **declared.finetuned_files(R, study.splits.experts),
    log:
        f"{R}/logs/{tasks.FINETUNE_EXPERTS}.log",
    benchmark:
        f"{R}/benchmarks/{tasks.FINETUNE_EXPERTS}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        **declared.working_directories(R, tasks.FINETUNE_EXPERTS),
        settings=lambda wildcards: study.for_finetuning(wildcards.architecture),
        source=source_fingerprint(SCRIPTS / "train_fusion.py"),
    shell:
        'python "$SCRIPTS/train_fusion.py" --architecture {wildcards.architecture} --experts {input.experts} '
        f"{TRAINING_OPTIONS}"
