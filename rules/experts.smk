from certifuse.study.steps.training import FinetuneExperts, PretrainExpert

# What every training asks for. Each may be set for one rule or all: snakemake --set-resources RULE:runtime=MINUTES.
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
        component=f"{R}/{paths.MEMBER}",
        manifest=f"{R}/{paths.MEMBER_MANIFEST}",
        csv=f"{R}/{paths.MEMBER_LOG}",
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
        run=program("pretrain_expert"),
        settings=settings_of(PretrainExpert),
        source=source_of(PretrainExpert),
        results=subpath(output.manifest, ancestor=4),
        job=tasks.PRETRAIN_EXPERT,
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--images {input.images:q} --splits {input.splits:q} "
        "--output {output.component:q} --manifest {output.manifest:q} --log-file {output.csv:q} "
        "--resume-dir {params.results:q}/.resume/{params.job} --telemetry-dir {params.results:q}/telemetry "
        "--time-budget-min {resources.runtime} 2> {log:q}"


rule finetune_experts:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        experts=expand(rules.pretrain_expert.output.component, member=EXPERTS, allow_missing=True),
    output:
        experts=[f"{R}/{paths.FINETUNED_DIR}/{paths.finetuned_expert(i)}" for i in range(study.splits.experts)],
        complete=f"{R}/{paths.FINETUNED_DIR}/{paths.COMPLETE_FILE}",
        manifest=f"{R}/{paths.FINETUNED_MANIFEST}",
        csv=f"{R}/{paths.FINETUNED_LOG}",
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
        run=program("finetune_experts"),
        settings=settings_of(FinetuneExperts),
        source=source_of(FinetuneExperts),
        results=subpath(output.manifest, ancestor=4),
        job=tasks.FINETUNE_EXPERTS,
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--images {input.images:q} --splits {input.splits:q} --experts {input.experts:q} "
        "--manifest {output.manifest:q} --log-file {output.csv:q} "
        "--resume-dir {params.results:q}/.resume/{params.job} --telemetry-dir {params.results:q}/telemetry "
        "--time-budget-min {resources.runtime} 2> {log:q}"
