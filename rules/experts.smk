TRAINING = {
    "gpu": 1,
    "cpus_per_task": max(4, study.execution.threads),
    "mem_mb": 32000,
    "runtime": 720,
    "slurm_partition": "gpu",
}

# The end of every training command: of any, of one on images, of one that starts from experts. Each rule puts its own
# options before.
RUN_OPTIONS = (
    "--settings {params.settings:q} --source {params.source} --seed {wildcards.seed} "
    "--manifest {output.manifest} --log-file {output.csv} "
    "--resume-dir {params.resume} --telemetry-dir {params.telemetry} --time-budget-min {resources.runtime} 2> {log}"
)
TRAINING_OPTIONS = f"--images {{input.images}} --splits {{input.splits}} {RUN_OPTIONS}"
FUSION_OPTIONS = f"--experts {{input.experts}} {TRAINING_OPTIONS}"
MEMBER_OPTIONS = "--member {wildcards.member} --output {output.component}"


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
        settings=lambda wildcards: study.for_pretraining(wildcards.architecture, wildcards.member),
        source=source_fingerprint(SCRIPTS / "pretrain_expert.py"),
    shell:
        f'python "$SCRIPTS/pretrain_expert.py" {MEMBER_OPTIONS} {TRAINING_OPTIONS}'


# Inputs of everything that starts from the experts.
EXPERT_DATA = DATA | {"experts": expand(rules.pretrain_expert.output.component, member=EXPERTS, allow_missing=True)}


rule finetune_experts:
    input:
        **EXPERT_DATA,
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
        f'python "$SCRIPTS/train_fusion.py" --architecture {{wildcards.architecture}} {FUSION_OPTIONS}'
