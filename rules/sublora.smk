# Language models in subspaces; included where the study has a section sublora.
PROCESSES = study.sublora.training.processes
LAUNCH = {"launch": "python" if PROCESSES == 1 else f"torchrun --standalone --nproc-per-node {PROCESSES}"}


localrules:
    prepare_corpus,
    certify_ngram,
    gather_sublora,
    gather_gates,
    draw_sublora_figure,
    draw_sublora_budget_figure,
    draw_gates_figure,
    draw_gates_budget_figure,
    write_sublora_tables,


rule prepare_corpus:
    input:
        lambda wildcards: targets.corpus_files(study),
    output:
        **declared.corpus_files(R),
    log:
        f"{R}/logs/prepare_corpus.log",
    conda:
        "../envs/training.yaml"
    resources:
        download=int(study.sublora.corpus.may_download),
    params:
        settings=study.for_corpus(),
        source=source_fingerprint(SCRIPTS / "prepare_corpus.py"),
        directory=subpath(output.manifest, parent=True),
    shell:
        'python "$SCRIPTS/prepare_corpus.py" --settings {params.settings:q} --download {resources.download} '
        "--directory {params.directory} 2> {log}"


# Inputs of everything that reads the corpus; its directory is what the commands name.
CORPUS = {"corpus": rules.prepare_corpus.output.manifest, "parts": rules.prepare_corpus.output.parts}
CORPUS_DIRECTORY = {"corpus": subpath(input.corpus, parent=True)}
# A null of mode learned starts from weights that were learned.
LEARNED = {"learned": lambda wildcards: targets.learned_weights(rules.train_sublora.output.weights, wildcards)}
NETWORK_OPTIONS = "--dim {wildcards.d} --mode {wildcards.mode}"
SUBLORA_OPTIONS = f"--corpus {{params.corpus}} {NETWORK_OPTIONS} --learned {{input.learned}} {RUN_OPTIONS}"


rule train_sublora:
    input:
        **CORPUS | LEARNED,
    output:
        **declared.sublora_files(R, study.sublora.levels),
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
        **declared.working_directories(R, tasks.TRAIN_SUBLORA) | CORPUS_DIRECTORY | LAUNCH,
        settings=lambda wildcards: study.for_sublora_training(wildcards.mode),
        source=source_fingerprint(SCRIPTS / "train_sublora.py"),
    shell:
        f'{{params.launch}} "$SCRIPTS/train_sublora.py" {SUBLORA_OPTIONS}'


# The two ends of a command that makes a certificate; each rule puts its own options between.
CERTIFICATE_STEP = "--settings {params.settings:q} --source {params.source}"
CERTIFICATE_FILES = "--corpus {params.corpus} --output {params.directory} 2> {log}"
CODED_OPTIONS = "--seed {wildcards.seed} --levels {wildcards.levels} --weights {input.weights}"
QUANTISED = {"weights": f"{R}/{paths.SUBLORA_DIR}/{paths.SUBLORA_LEVELS_WEIGHTS}"}
DIRECTORIES = CORPUS_DIRECTORY | {"directory": subpath(output.certificate, parent=True)}


rule certify_sublora:
    input:
        **CORPUS | QUANTISED,
    output:
        **declared.language_certificate_files(f"{R}/{paths.SUBLORA_CERTIFICATE_DIR}"),
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
        **DIRECTORIES,
        settings=study.for_sublora_certificate(),
        source=source_fingerprint(SCRIPTS / "certify_sublora.py"),
    shell:
        f'python "$SCRIPTS/certify_sublora.py" {CERTIFICATE_STEP} {NETWORK_OPTIONS} {CODED_OPTIONS} {CERTIFICATE_FILES}'


rule certify_ngram:
    input:
        **CORPUS,
    output:
        **declared.language_certificate_files(f"{R}/{paths.NGRAM_DIR}"),
    log:
        f"{R}/logs/{tasks.CERTIFY_NGRAM}.log",
    conda:
        "../envs/training.yaml"
    params:
        **DIRECTORIES,
        settings=study.for_ngram(),
        source=source_fingerprint(SCRIPTS / "certify_ngram.py"),
    shell:
        f'python "$SCRIPTS/certify_ngram.py" {CERTIFICATE_STEP} --ngram {{wildcards.ngram}} {CERTIFICATE_FILES}'


LANGUAGE_CERTIFICATES = targets.language_certificates(
    study, rules.certify_sublora.output.certificate, rules.certify_ngram.output.certificate
)
LEARNED_MANIFESTS = targets.learned_manifests(study, rules.train_sublora.output.manifest)


rule gather_sublora:
    input:
        targets.awaited(study, LANGUAGE_CERTIFICATES),
    output:
        **declared.sublora_tables(R),
    log:
        f"{R}/logs/gather_sublora.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_sublora_gathering(),
        source=source_fingerprint(SCRIPTS / "gather_sublora.py"),
        results=subpath(output.metrics, ancestor=2),
        finished=targets.finished(study, LANGUAGE_CERTIFICATES),
    shell:
        f'python "$SCRIPTS/gather_sublora.py" {GATHERING_OPTIONS}'


rule gather_gates:
    input:
        targets.awaited(study, LEARNED_MANIFESTS),
    output:
        **declared.gate_tables(R),
    log:
        f"{R}/logs/gather_gates.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_gate_gathering(),
        source=source_fingerprint(SCRIPTS / "gather_gates.py"),
        results=subpath(output.gates, ancestor=2),
        finished=targets.finished(study, LEARNED_MANIFESTS),
    shell:
        f'python "$SCRIPTS/gather_gates.py" {GATHERING_OPTIONS}'


# What every figure and table of the language models shows, and where the report puts it.
FRAMES = {
    "metrics": rules.gather_sublora.output.metrics,
    "gates": rules.gather_gates.output.gates,
    "missing": rules.gather_sublora.output.missing,
}
FRAME_OPTIONS = "--metrics {input.metrics} --gates {input.gates} --missing {input.missing}"
SUBLORA_FIGURE = {"caption": "../workflow/report/sublora_figures.rst", "category": "Language models"}
FIGURE_LABELS = {"figure": "{sublora_figure}", "format": "PNG"}


rule draw_sublora_figure:
    input:
        **FRAMES,
    output:
        png=report(f"{R}/{paths.SUBLORA_FIGURES_DIR}/{{sublora_figure}}.png", **SUBLORA_FIGURE, labels=FIGURE_LABELS),
        pdf=f"{R}/{paths.SUBLORA_FIGURES_DIR}/{{sublora_figure}}.pdf",
    log:
        f"{R}/logs/draw_sublora_figure/{{sublora_figure}}.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=lambda wildcards: study.for_sublora_figure(wildcards.sublora_figure),
        source=source_fingerprint(SCRIPTS / "draw_sublora_figure.py"),
        budget=lambda wildcards: f"--budget {wildcards.d}" if "d" in wildcards.keys() else "",
    shell:
        'python "$SCRIPTS/draw_sublora_figure.py" --settings {params.settings:q} --figure {wildcards.sublora_figure} '
        f"{{params.budget}} {FRAME_OPTIONS} --png {{output.png}} --pdf {{output.pdf}} 2> {{log}}"


use rule draw_sublora_figure as draw_sublora_budget_figure with:
    output:
        png=report(
            f"{R}/{paths.SUBLORA_FIGURES_DIR}/{{sublora_figure}}_d{{d}}.png",
            **SUBLORA_FIGURE,
            labels={"figure": "{sublora_figure}", "budget": "{d}", "format": "PNG"},
        ),
        pdf=f"{R}/{paths.SUBLORA_FIGURES_DIR}/{{sublora_figure}}_d{{d}}.pdf",
    log:
        f"{R}/logs/draw_sublora_figure/{{sublora_figure}}_d{{d}}.log",
    wildcard_constraints:
        sublora_figure=targets.exactly(targets.CERTIFIED_BUDGET_FIGURES),
        d=targets.exactly(dict.fromkeys(cell.d for cell in study.sublora_cells)),


# Figures of splits alone: no certificate is made for them.
use rule draw_sublora_figure as draw_gates_figure with:
    input:
        **rules.gather_gates.output,
        metrics=[],
    wildcard_constraints:
        sublora_figure="learned_gating_trend",


use rule draw_sublora_budget_figure as draw_gates_budget_figure with:
    input:
        **rules.draw_gates_figure.input,
    wildcard_constraints:
        sublora_figure="learned_gating_heatmap",
        d=targets.exactly(study.learned_budgets),


TABLES_DIR = f"{R}/{paths.SUBLORA_TABLES_DIR}"
SUBLORA_TABLES = ["summary_table", "ledger", "terms", "contrasts", "hypotheses"]
SUBLORA_TABLE = {
    "caption": "../workflow/report/sublora_tables.rst",
    "category": "Language models",
}
SUBLORA_PAGE = {
    "caption": "../workflow/report/sublora_hypotheses.rst",
    "category": "Language models",
    "labels": {"table": "hypotheses", "format": "Markdown"},
}


rule write_sublora_tables:
    input:
        **FRAMES,
        terms=rules.gather_sublora.output.terms,
        ledgers=rules.gather_sublora.output.ledgers,
    output:
        csv=[report(f"{TABLES_DIR}/{t}.csv", labels=declared.table_labels(t), **SUBLORA_TABLE) for t in SUBLORA_TABLES],
        tex=expand(f"{TABLES_DIR}/{{table}}.tex", table=[*SUBLORA_TABLES, "sublora_tables"]),
        page=report(f"{TABLES_DIR}/hypotheses.md", **SUBLORA_PAGE),
    log:
        f"{R}/logs/write_sublora_tables.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_tables(),
        source=source_fingerprint(SCRIPTS / "write_sublora_tables.py"),
        directory=subpath(output.page, parent=True),
    shell:
        f'python "$SCRIPTS/write_sublora_tables.py" --settings {{params.settings:q}} {FRAME_OPTIONS} '
        "--terms {input.terms} --ledgers {input.ledgers} --output-dir {params.directory} 2> {log}"


# What `rule all` makes of this study.
SUBLORA = [
    *rules.write_sublora_tables.output,
    *targets.sublora_figures(study, rules.draw_sublora_budget_figure.output, rules.draw_sublora_figure.output),
]
