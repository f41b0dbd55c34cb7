from certifuse.study.steps.data import PrepareImages, SplitImages


rule prepare_images:
    input:
        lambda wildcards: of_the_user(targets.image_files(study)),
    output:
        images=f"{R}/{paths.IMAGES}",
    log:
        f"{R}/logs/prepare_images.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    resources:
        download=int(study.may_download_images),
    params:
        run=program("prepare_images"),
        settings=settings_of(PrepareImages),
        source=source_of(PrepareImages),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--download {resources.download} --output {output.images:q} 2> {log:q}"


rule split_images:
    input:
        images=rules.prepare_images.output.images,
    output:
        splits=f"{R}/{paths.SPLITS}",
        summary=f"{R}/{paths.SPLITS_SUMMARY}",
    log:
        f"{R}/logs/split_images.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    params:
        run=program("split_images"),
        settings=settings_of(SplitImages),
        source=source_of(SplitImages),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--images {input.images:q} --output {output.splits:q} --summary {output.summary:q} 2> {log:q}"
