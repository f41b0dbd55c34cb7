FIGURE = {"caption": "../workflow/report/figures.rst", "category": "Figures"}
TABLES = ["results", "baselines", "comparison", "costs", "training_costs"]
# What every figure and table shows; some figures need more.
RESULTS = {
    "summary": rules.gather.output.summary,
    "missing": rules.gather.output.missing,
    "comparison": rules.compare_cells.output.comparison,
}


rule draw_figure:
    input:
        **RESULTS,
        logs=rules.gather.output.logs,
        calibration=rules.gather.output.calibration,
    output:
        png=report(f"{R}/figures/{{figure}}.png", **FIGURE, labels={"figure": "{figure}", "format": "PNG"}),
        pdf=f"{R}/figures/{{figure}}.pdf",
    log:
        f"{R}/logs/draw_figure/{{figure}}.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=lambda wildcards: study.for_figure(wildcards.figure),
        source=source_fingerprint(SCRIPTS / "draw_figure.py"),
    shell:
        'python "$SCRIPTS/draw_figure.py" --settings {params.settings:q} --figure {wildcards.figure} '
        "--summary {input.summary} --logs {input.logs} --calibration {input.calibration} --missing {input.missing} "
        "--comparison {input.comparison} --png {output.png} --pdf {output.pdf} 2> {log}"


rule write_tables:
    input:
        **RESULTS,
        costs=rules.gather.output.costs,
    output:
        csv=[report(f"{R}/tables/{name}.csv", labels=declared.table_labels(name), **TABLE) for name in TABLES],
        tex=expand(f"{R}/tables/{{table}}.tex", table=[*TABLES, "tables"]),
    log:
        f"{R}/logs/write_tables.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_tables(),
        source=source_fingerprint(SCRIPTS / "write_tables.py"),
        directory=subpath(output[0], parent=True),
    shell:
        'python "$SCRIPTS/write_tables.py" --settings {params.settings:q} --summary {input.summary} '
        "--missing {input.missing} --comparison {input.comparison} --costs {input.costs} "
        "--output-dir {params.directory} 2> {log}"
