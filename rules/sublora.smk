# Language models in subspaces; included where the study has a section sublora.
from certifuse.study.steps.data import PrepareCorpus
from certifuse.study.steps.gathering import GatherGates, GatherSublora
from certifuse.study.steps.language import CertifyNgram, CertifySublora, TrainSublora

PROCESSES = study.language.training.processes
LAUNCHER = "python" if PROCESSES == 1 else f"torchrun --standalone --nproc-per-node {PROCESSES}"
QUANTISED = [paths.SUBLORA_LEVELS_WEIGHTS.format(levels=number) for number in study.language.levels]
CORPUS = f"{R}/{paths.CORPUS_DIR}"


rule prepare_corpus:
    input:
        lambda wildcards: of_the_user(targets.corpus_files(study)),
    output:
        manifest=f"{CORPUS}/{paths.MANIFEST_FILE}",
        parts=expand(f"{CORPUS}/{{part}}{{kind}}.bin", part=["train", "validation"], kind=["", "_offsets"]),
    log:
        f"{R}/logs/prepare_corpus.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    resources:
        download=int(study.language.corpus.may_download),
    params:
        run=program("prepare_corpus"),
        settings=settings_of(PrepareCorpus),
        source=source_of(PrepareCorpus),
        directory=subpath(output.manifest, parent=True),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--download {resources.download} --directory {params.directory:q} 2> {log:q}"


rule train_sublora:
    input:
        corpus=rules.prepare_corpus.output.manifest,
        parts=rules.prepare_corpus.output.parts,
        learned=lambda wildcards: targets.learned_weights(rules.train_sublora.output.weights, dict(wildcards.items())),
    output:
        manifest=f"{R}/{paths.SUBLORA_DIR}/{paths.MANIFEST_FILE}",
        weights=f"{R}/{paths.SUBLORA_DIR}/{paths.SUBLORA_WEIGHTS}",
        quantised=[f"{R}/{paths.SUBLORA_DIR}/{name}" for name in QUANTISED],
        csv=f"{R}/{paths.SUBLORA_LOG_DIR}/full_precision.csv",
        quantised_csv=[
            f"{R}/{paths.SUBLORA_LOG_DIR}/{paths.LEVELS_DIR.format(levels=number)}.csv"
            for number in study.language.levels
        ],
    log:
        f"{R}/logs/{tasks.TRAIN_SUBLORA}.log",
    benchmark:
        f"{R}/benchmarks/{tasks.TRAIN_SUBLORA}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads * PROCESSES
    resources:
        **TRAINING | {"gpu": PROCESSES, "cpus_per_task": max(4, study.execution.threads * PROCESSES)},
    params:
        run=program("train_sublora", LAUNCHER),
        settings=settings_of(TrainSublora),
        source=source_of(TrainSublora),
        corpus=subpath(input.corpus, parent=True),
        results=subpath(output.manifest, ancestor=3),
        job=tasks.TRAIN_SUBLORA,
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--corpus {params.corpus:q} --learned {input.learned:q} "
        "--manifest {output.manifest:q} --log-file {output.csv:q} "
        "--resume-dir {params.results:q}/.resume/{params.job} --telemetry-dir {params.results:q}/telemetry "
        "--time-budget-min {resources.runtime} 2> {log:q}"


rule certify_sublora:
    input:
        corpus=rules.prepare_corpus.output.manifest,
        parts=rules.prepare_corpus.output.parts,
        weights=f"{R}/{paths.SUBLORA_DIR}/{paths.SUBLORA_LEVELS_WEIGHTS}",
    output:
        certificate=f"{R}/{paths.SUBLORA_CERTIFICATE_DIR}/{paths.CERTIFICATE_FILE}",
        bitstream=f"{R}/{paths.SUBLORA_CERTIFICATE_DIR}/{paths.BITSTREAM_FILE}",
        metrics=f"{R}/{paths.SUBLORA_CERTIFICATE_DIR}/{paths.SUBLORA_METRICS_FILE}",
        manifest=f"{R}/{paths.SUBLORA_CERTIFICATE_DIR}/{paths.MANIFEST_FILE}",
    log:
        f"{R}/logs/{tasks.CERTIFY_SUBLORA}.log",
    benchmark:
        f"{R}/benchmarks/{tasks.CERTIFY_SUBLORA}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        run=program("certify_sublora"),
        settings=settings_of(CertifySublora),
        source=source_of(CertifySublora),
        corpus=subpath(input.corpus, parent=True),
        directory=subpath(output.certificate, parent=True),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--weights {input.weights:q} --corpus {params.corpus:q} --output {params.directory:q} 2> {log:q}"


rule certify_ngram:
    input:
        corpus=rules.prepare_corpus.output.manifest,
        parts=rules.prepare_corpus.output.parts,
    output:
        certificate=f"{R}/{paths.NGRAM_DIR}/{paths.CERTIFICATE_FILE}",
        bitstream=f"{R}/{paths.NGRAM_DIR}/{paths.BITSTREAM_FILE}",
        metrics=f"{R}/{paths.NGRAM_DIR}/{paths.SUBLORA_METRICS_FILE}",
        manifest=f"{R}/{paths.NGRAM_DIR}/{paths.MANIFEST_FILE}",
    log:
        f"{R}/logs/{tasks.CERTIFY_NGRAM}.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    params:
        run=program("certify_ngram"),
        settings=settings_of(CertifyNgram),
        source=source_of(CertifyNgram),
        corpus=subpath(input.corpus, parent=True),
        directory=subpath(output.certificate, parent=True),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--corpus {params.corpus:q} --output {params.directory:q} 2> {log:q}"


LANGUAGE_CERTIFICATES = [
    certificate
    for cell in study.sublora_cells
    for levels in study.language.levels
    for certificate in targets.each([cell], rules.certify_sublora.output.certificate, levels=levels)
]
LANGUAGE_CERTIFICATES += expand(rules.certify_ngram.output.certificate, ngram=study.language.ngrams)
LEARNED_MANIFESTS = targets.each(study.learned_cells, rules.train_sublora.output.manifest)


rule gather_sublora:
    input:
        targets.awaited(study, LANGUAGE_CERTIFICATES),
    output:
        metrics=f"{R}/{paths.SUBLORA_METRICS}",
        terms=f"{R}/{paths.SUBLORA_TERMS}",
        top_k=f"{R}/{paths.SUBLORA_TOP_K}",
        ledgers=f"{R}/{paths.SUBLORA_LEDGERS}",
        logs=f"{R}/{paths.SUBLORA_LOGS}",
        missing=f"{R}/{paths.MISSING_SUBLORA}",
    log:
        f"{R}/logs/gather_sublora.log",
    localrule: True
    conda:
        "../envs/reporting.yaml"
    params:
        run=program("gather_sublora"),
        settings=settings_of(GatherSublora),
        source=source_of(GatherSublora),
        results=subpath(output.metrics, ancestor=2),
        finished=targets.finished(study, LANGUAGE_CERTIFICATES),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} --results-dir {params.results:q} 2> {log:q}"


rule gather_gates:
    input:
        targets.awaited(study, LEARNED_MANIFESTS),
    output:
        gates=f"{R}/{paths.SUBLORA_GATES}",
        missing=f"{R}/{paths.MISSING_GATES}",
    log:
        f"{R}/logs/gather_gates.log",
    localrule: True
    conda:
        "../envs/reporting.yaml"
    params:
        run=program("gather_gates"),
        settings=settings_of(GatherGates),
        source=source_of(GatherGates),
        results=subpath(output.gates, ancestor=2),
        finished=targets.finished(study, LEARNED_MANIFESTS),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} --results-dir {params.results:q} 2> {log:q}"
