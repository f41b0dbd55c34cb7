# Language models in subspaces; included where the study has a section sublora.
LAUNCH = (
    "python"
    if study.sublora.training.processes == 1
    else f"torchrun --standalone --nproc-per-node {study.sublora.training.processes}"
)


localrules:
    prepare_corpus,


rule prepare_corpus:
    input:
        study.sublora.corpus.files,
    output:
        **declared.corpus_files(R),
    log:
        f"{R}/logs/prepare_corpus.log",
    conda:
        "../envs/training.yaml"
    params:
        settings=study.for_corpus(),
        source=source_fingerprint(SCRIPTS / "prepare_corpus.py"),
        directory=subpath(output.manifest, parent=True),
    shell:
        'python "$SCRIPTS/prepare_corpus.py" --settings {params.settings:q} --directory {params.directory} 2> {log}'


rule train_sublora:
    input:
        corpus=rules.prepare_corpus.output.manifest,
        parts=rules.prepare_corpus.output.parts,
        learned=lambda wildcards: selection.learned_weights(rules.train_sublora.output.weights, wildcards),
    output:
        **declared.sublora_files(R, study.sublora.levels),
    log:
        f"{R}/logs/{tasks.TRAIN_SUBLORA}.log",
    benchmark:
        f"{R}/benchmarks/{tasks.TRAIN_SUBLORA}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads * study.sublora.training.processes
    resources:
        **TRAINING | {"gpu": study.sublora.training.processes},
    params:
        **declared.working_directories(R, tasks.TRAIN_SUBLORA),
        settings=lambda wildcards: study.for_sublora_training(wildcards.mode),
        source=source_fingerprint(SCRIPTS / "train_sublora.py"),
        corpus=subpath(input.corpus, parent=True),
        launch=LAUNCH,
    shell:
        '{params.launch} "$SCRIPTS/train_sublora.py" --corpus {params.corpus} --dim {wildcards.d} '
        f"--mode {{wildcards.mode}} --learned {{input.learned}} {RUN_OPTIONS}"


# What `rule all` makes of this study.
SUBLORA = [rules.train_sublora.output.manifest.format(**cell._asdict()) for cell in study.sublora_cells]
