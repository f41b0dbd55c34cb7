from certifuse.study.steps.training import TrainFusion


rule train_fusion:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        experts=expand(rules.pretrain_expert.output.component, member=EXPERTS, allow_missing=True),
        initial=lambda wildcards: of_the_user(targets.initial_components(study, dict(wildcards.items()), RESULTS)),
    output:
        experts=[f"{R}/{paths.CELL_DIR}/{paths.cell_expert(i)}" for i in range(study.splits.experts)],
        fusion=f"{R}/{paths.CELL_DIR}/{paths.FUSION_FILE}",
        head=f"{R}/{paths.CELL_DIR}/{paths.HEAD_FILE}",
        complete=f"{R}/{paths.CELL_DIR}/{paths.COMPLETE_FILE}",
        manifest=f"{R}/{paths.CELL_DIR}/{paths.MANIFEST_FILE}",
        csv=f"{R}/{paths.CELL_LOG}",
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
        run=program("train_fusion"),
        settings=settings_of(TrainFusion),
        source=source_of(TrainFusion),
        results=subpath(output.manifest, ancestor=5),
        job=tasks.TRAIN_FUSION,
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--images {input.images:q} --splits {input.splits:q} --experts {input.experts:q} "
        "--manifest {output.manifest:q} --log-file {output.csv:q} "
        "--resume-dir {params.results:q}/.resume/{params.job} --telemetry-dir {params.results:q}/telemetry "
        "--time-budget-min {resources.runtime} 2> {log:q}"
