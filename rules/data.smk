rule prepare_images:
    input:
        lambda wildcards: targets.image_files(study),
    output:
        images=f"{R}/{paths.IMAGES}",
    log:
        f"{R}/logs/prepare_images.log",
    conda:
        "../envs/training.yaml"
    resources:
        download=int(study.may_download_images),
    params:
        settings=study.for_images(),
        source=source_fingerprint(SCRIPTS / "prepare_images.py"),
    shell:
        'python "$SCRIPTS/prepare_images.py" --settings {params.settings:q} --download {resources.download} '
        "--output {output.images} 2> {log}"


rule split_images:
    input:
        images=rules.prepare_images.output.images,
    output:
        splits=f"{R}/{paths.SPLITS}",
        summary=f"{R}/{paths.SPLITS_SUMMARY}",
    log:
        f"{R}/logs/split_images.log",
    conda:
        "../envs/training.yaml"
    params:
        settings=study.for_splits(),
        source=source_fingerprint(SCRIPTS / "split_images.py"),
    shell:
        'python "$SCRIPTS/split_images.py" --settings {params.settings:q} --images {input.images} '
        "--output {output.splits} --summary {output.summary} 2> {log}"


# Inputs of everything that trains or scores a network.
DATA = {"images": rules.prepare_images.output.images, "splits": rules.split_images.output.splits}
