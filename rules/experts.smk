TRAINING = {
    "gpu": 1,
    "cpus_per_task": max(4, study.execution.threads),
    "mem_mb": 32000,
    "runtime": 720,
    "slurm_partition": "gpu",
}


rule pretrain_expert:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
    output:
        component=f"{R}/{layout.MEMBER}",
        manifest=f"{R}/{layout.MEMBER_MANIFEST}",
        csv=f"{R}/{layout.MEMBER_LOG}",
    log:
        f"{R}/logs/pretrain_expert/{{architecture}}_seed_{{seed}}_{{member}}.log",
    benchmark:
        f"{R}/benchmarks/pretrain_expert/{{architecture}}_seed_{{seed}}_{{member}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        settings=lambda wildcards: study.for_pretraining(wildcards.architecture),
        source=source_fingerprint(SCRIPTS / "pretrain_expert.py"),
        telemetry=f"{R}/telemetry",
        resume=f"{R}/{layout.RESUME_DIR}/pretrain_expert/{{architecture}}_seed_{{seed}}_{{member}}",
    shell:
        'python "$SCRIPTS/pretrain_expert.py" --settings {params.settings:q} --source {params.source} '
        "--member {wildcards.member} --seed {wildcards.seed} --images {input.images} --splits {input.splits} "
        "--output {output.component} --manifest {output.manifest} --log-file {output.csv} "
        "--resume-dir {params.resume} --telemetry-dir {params.telemetry} 2> {log}"


rule finetune_experts:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        experts=expand(
            rules.pretrain_expert.output.component,
            member=[f"expert_{i}" for i in EXPERTS],
            allow_missing=True,
        ),
    output:
        experts=[
            f"{R}/{layout.FINETUNED_DIR}/{layout.finetuned_expert(i)}" for i in EXPERTS
        ],
        complete=f"{R}/{layout.FINETUNED_DIR}/{layout.COMPLETE_FILE}",
        manifest=f"{R}/{layout.FINETUNED_DIR}/{layout.MANIFEST_FILE}",
        csv=f"{R}/{layout.FINETUNED_LOG}",
    log:
        f"{R}/logs/finetune_experts/{{architecture}}_seed_{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/finetune_experts/{{architecture}}_seed_{{seed}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        settings=lambda wildcards: study.for_finetuning(wildcards.architecture),
        source=source_fingerprint(SCRIPTS / "train_fusion.py"),
        telemetry=f"{R}/telemetry",
        resume=f"{R}/{layout.RESUME_DIR}/finetune_experts/{{architecture}}_seed_{{seed}}",
    shell:
        'python "$SCRIPTS/train_fusion.py" --settings {params.settings:q} --source {params.source} '
        "--architecture {wildcards.architecture} --seed {wildcards.seed} --images {input.images} "
        "--splits {input.splits} --experts {input.experts} --manifest {output.manifest} --log-file {output.csv} "
        "--resume-dir {params.resume} --telemetry-dir {params.telemetry} 2> {log}"
