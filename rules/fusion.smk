rule train_fusion:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        experts=rules.finetune_experts.input.experts,
        initial=lambda wildcards: selection.initial_components(study, wildcards),
    output:
        experts=[f"{R}/{layout.CELL_DIR}/{layout.cell_expert(i)}" for i in EXPERTS],
        fusion=f"{R}/{layout.CELL_DIR}/{layout.FUSION_FILE}",
        head=f"{R}/{layout.CELL_DIR}/{layout.HEAD_FILE}",
        complete=f"{R}/{layout.CELL_DIR}/{layout.COMPLETE_FILE}",
        manifest=f"{R}/{layout.CELL_DIR}/{layout.MANIFEST_FILE}",
        csv=f"{R}/{layout.CELL_LOG}",
    log:
        f"{R}/logs/train_fusion/{{architecture}}_{{fusion}}_lambda_{{lam}}_seed_{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/train_fusion/{{architecture}}_{{fusion}}_lambda_{{lam}}_seed_{{seed}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        settings=lambda wildcards: study.for_fusion(
            wildcards.architecture, wildcards.fusion
        ),
        source=source_fingerprint(SCRIPTS / "train_fusion.py"),
        telemetry=f"{R}/telemetry",
        resume=f"{R}/{layout.RESUME_DIR}/train_fusion/{{architecture}}_{{fusion}}_lambda_{{lam}}_seed_{{seed}}",
    shell:
        'python "$SCRIPTS/train_fusion.py" --settings {params.settings:q} --source {params.source} '
        "--architecture {wildcards.architecture} --fusion {wildcards.fusion} --lambda {wildcards.lam} "
        "--seed {wildcards.seed} --images {input.images} --splits {input.splits} --experts {input.experts} "
        "--manifest {output.manifest} --log-file {output.csv} "
        "--resume-dir {params.resume} --telemetry-dir {params.telemetry} 2> {log}"
