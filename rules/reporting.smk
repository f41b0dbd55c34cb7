from certifuse.base.digests import digest_file
from certifuse.base.program import WorkflowFile
from certifuse.study.steps.reporting import (
    DrawFigure,
    WriteCertificateTables,
    WriteStartPage,
    WriteSubloraTables,
    WriteTables,
)

CATEGORIES = {"fusion": "Figures", "certificates": "Certificates", "sublora": "Language models"}


rule draw_figure:
    input:
        lambda wildcards: [f"{R}/{table}" for table in study.drawings[wildcards.figure].figure.tables.values()],
    output:
        png=report(
            f"{R}/figures/{{figure}}.png",
            caption="../workflow/report/figures.rst",
            category=lambda wildcards: CATEGORIES[study.drawings[wildcards.figure].figure.part],
            labels=lambda wildcards: {**study.drawings[wildcards.figure].labels, "format": "PNG"},
        ),
        pdf=f"{R}/figures/{{figure}}.pdf",
    log:
        f"{R}/logs/{tasks.DRAW_FIGURE}.log",
    wildcard_constraints:
        figure=targets.exactly(study.drawings),
    localrule: True
    conda:
        "../envs/reporting.yaml"
    params:
        run=program("draw_figure"),
        settings=settings_of(DrawFigure),
        source=source_of(DrawFigure),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--tables {input:q} --png {output.png:q} --pdf {output.pdf:q} 2> {log:q}"


TABLES = ["results", "baselines", "comparison", "costs", "training_costs"]


rule write_tables:
    input:
        summary=rules.gather.output.summary,
        missing=rules.gather.output.missing,
        costs=rules.gather.output.costs,
        comparison=rules.compare_cells.output.comparison,
    output:
        csv=[
            report(
                f"{R}/tables/{name}.csv",
                caption="../workflow/report/tables.rst",
                category="Tables",
                labels={"table": name.replace("_", " "), "format": "CSV"},
            )
            for name in [*TABLES, "answers"]
        ],
        tex=[f"{R}/tables/{name}.tex" for name in [*TABLES, "tables"]],
    log:
        f"{R}/logs/write_tables.log",
    localrule: True
    conda:
        "../envs/reporting.yaml"
    params:
        run=program("write_tables"),
        settings=settings_of(WriteTables),
        source=source_of(WriteTables),
        directory=subpath(output[0], parent=True),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--summary {input.summary:q} --missing {input.missing:q} --comparison {input.comparison:q} --costs {input.costs:q} "
        "--output-dir {params.directory:q} 2> {log:q}"


CERTIFICATE_TABLES = ["certificates", "certificate_ledger"]


rule write_certificate_tables:
    input:
        certificates=rules.gather_certificates.output.certificates,
        ledgers=rules.gather_certificates.output.ledgers,
    output:
        csv=[
            report(
                f"{R}/tables/{name}.csv",
                caption="../workflow/report/certificate_tables.rst",
                category="Certificates",
                labels={"table": name.replace("_", " "), "format": "CSV"},
            )
            for name in [*CERTIFICATE_TABLES, "crossings"]
        ],
        tex=[f"{R}/tables/{name}.tex" for name in [*CERTIFICATE_TABLES, "certificate_tables"]],
    log:
        f"{R}/logs/write_certificate_tables.log",
    localrule: True
    conda:
        "../envs/reporting.yaml"
    params:
        run=program("write_certificate_tables"),
        settings=settings_of(WriteCertificateTables),
        source=source_of(WriteCertificateTables),
        directory=subpath(output[0], parent=True),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--certificates {input.certificates:q} --ledgers {input.ledgers:q} --output-dir {params.directory:q} 2> {log:q}"


if study.sublora is not None:
    SUBLORA_TABLES = ["summary_table", "ledger", "terms", "contrasts", "hypotheses"]

    rule write_sublora_tables:
        input:
            metrics=rules.gather_sublora.output.metrics,
            missing=rules.gather_sublora.output.missing,
            terms=rules.gather_sublora.output.terms,
            ledgers=rules.gather_sublora.output.ledgers,
            gates=rules.gather_gates.output.gates,
        output:
            csv=[
                report(
                    f"{R}/tables/sublora/{name}.csv",
                    caption="../workflow/report/sublora_tables.rst",
                    category="Language models",
                    labels={"table": name.replace("_", " "), "format": "CSV"},
                )
                for name in SUBLORA_TABLES
            ],
            tex=[f"{R}/tables/sublora/{name}.tex" for name in [*SUBLORA_TABLES, "sublora_tables"]],
            page=report(
                f"{R}/tables/sublora/hypotheses.md",
                caption="../workflow/report/sublora_hypotheses.rst",
                category="Language models",
                labels={"table": "hypotheses", "format": "Markdown"},
            ),
        log:
            f"{R}/logs/write_sublora_tables.log",
        localrule: True
        conda:
            "../envs/reporting.yaml"
        params:
            run=program("write_sublora_tables"),
            settings=settings_of(WriteSubloraTables),
            source=source_of(WriteSubloraTables),
            directory=subpath(output.page, parent=True),
        shell:
            "{params.run} --settings {params.settings:q} --source {params.source} "
            "--metrics {input.metrics:q} --gates {input.gates:q} --missing {input.missing:q} --terms {input.terms:q} "
            "--ledgers {input.ledgers:q} --output-dir {params.directory:q} 2> {log:q}"


CAPTIONS = part("workflow/report/figures.rst")


rule write_start_page:
    input:
        expand(rules.draw_figure.output.png, figure=study.drawings),
        [
            *rules.write_tables.output.csv,
            *(rules.gather.output.summary, rules.gather.output.missing, rules.gather.output.costs),
            rules.compare_cells.output.comparison,
        ]
        if study.grid
        else [],
        [
            *rules.write_certificate_tables.output.csv,
            *(rules.gather_certificates.output.certificates, rules.gather_certificates.output.missing),
        ]
        if study.certificates.blocks
        else [],
        [
            *rules.write_sublora_tables.output.csv,
            *(rules.gather_sublora.output.metrics, rules.gather_sublora.output.missing),
            rules.gather_gates.output.gates,
        ]
        if study.sublora is not None
        else [],
    output:
        page=report(
            f"{R}/index.html",
            caption="../workflow/report/start_page.rst",
            category="Start here",
            labels={"page": "the answers", "format": "HTML"},
        ),
    log:
        f"{R}/logs/write_start_page.log",
    localrule: True
    conda:
        "../envs/reporting.yaml"
    params:
        run=program("write_start_page"),
        settings=settings_of(WriteStartPage),
        source=source_of(WriteStartPage),
        results=subpath(output.page, parent=True),
        captions=WorkflowFile(CAPTIONS),
        captions_sha256=digest_file(CAPTIONS),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--results-dir {params.results:q} --captions {params.captions} --page {output.page:q} 2> {log:q}"
