# What both kinds of certificate start from: the experts, and what these were trained on.
PRIOR = EXPERT_DATA | {"manifests": expand(rules.pretrain_expert.output.manifest, member=EXPERTS, allow_missing=True)}
PRIOR_OPTIONS = "--experts {input.experts} --expert-manifests {input.manifests}"
SUBSPACE_OPTIONS = (
    f"{CELL_OPTIONS} --dim {{wildcards.dim}} {PRIOR_OPTIONS} --output {{params.directory}} {TRAINING_OPTIONS}"
)
SUBSPACE_DIRECTORY = {"directory": subpath(output.manifest, parent=True)}
JOINT_OPTIONS = f"--source {{params.source}} {CELL_OPTIONS} {PRIOR_OPTIONS} {COMPONENT_OPTIONS}"


rule certify_subspace:
    input:
        **PRIOR,
    output:
        **declared.subspace_files(R, study.certificates.levels),
    log:
        f"{R}/logs/{tasks.CERTIFY_SUBSPACE}.log",
    benchmark:
        f"{R}/benchmarks/{tasks.CERTIFY_SUBSPACE}.tsv"
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        **declared.working_directories(R, tasks.CERTIFY_SUBSPACE) | SUBSPACE_DIRECTORY,
        settings=lambda wildcards: study.for_subspace(wildcards.fusion),
        source=source_fingerprint(SCRIPTS / "certify_subspace.py"),
    shell:
        f'python "$SCRIPTS/certify_subspace.py" --architecture {{wildcards.architecture}} {SUBSPACE_OPTIONS}'


rule certify_joint:
    input:
        **PRIOR,
        components=rules.train_fusion.output.manifest,
    output:
        **declared.certificate_files(f"{R}/{paths.JOINT_CERTIFICATE_DIR}"),
    log:
        f"{R}/logs/{tasks.CERTIFY_JOINT}.log",
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        settings=study.for_joint_certificate(),
        source=source_fingerprint(SCRIPTS / "certify_joint.py"),
        components=subpath(input.components, parent=True),
        directory=subpath(output.certificate, parent=True),
    shell:
        f'python "$SCRIPTS/certify_joint.py" {JOINT_OPTIONS}'


CELL_CERTIFICATES = targets.certificates(
    study, rules.certify_subspace.output.certificates, rules.certify_joint.output
)


rule gather_certificates:
    input:
        targets.awaited(study, CELL_CERTIFICATES),
    output:
        certificates=f"{R}/{paths.CERTIFICATES}",
        ledgers=f"{R}/{paths.LEDGERS}",
        missing=f"{R}/{paths.MISSING_CERTIFICATES}",
    log:
        f"{R}/logs/gather_certificates.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_certificate_gathering(),
        source=source_fingerprint(SCRIPTS / "gather_certificates.py"),
        results=subpath(output.certificates, ancestor=2),
        finished=targets.finished(study, CELL_CERTIFICATES),
    shell:
        f'python "$SCRIPTS/gather_certificates.py" {GATHERING_OPTIONS}'


# What every figure and table of certificates shows, and where the report puts it.
CERTIFIED_RESULTS = {
    "certificates": rules.gather_certificates.output.certificates,
    "ledgers": rules.gather_certificates.output.ledgers,
}
CERTIFICATE_FIGURE = {
    "caption": "../workflow/report/certificate_figures.rst",
    "category": "Certificates",
    "labels": {"figure": "{certificate_figure}", "format": "PNG"},
}
CERTIFICATE_TABLE = {
    "caption": "../workflow/report/certificate_tables.rst",
    "category": "Certificates",
}
CERTIFICATE_TABLES = ["certificates", "certificate_ledger"]
CERTIFICATE_CSV = [*CERTIFICATE_TABLES, "crossings"]


rule draw_certificate_figure:
    input:
        **CERTIFIED_RESULTS,
    output:
        png=report(f"{R}/figures/{{certificate_figure}}.png", **CERTIFICATE_FIGURE),
        pdf=f"{R}/figures/{{certificate_figure}}.pdf",
    log:
        f"{R}/logs/draw_figure/{{certificate_figure}}.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=lambda wildcards: study.for_certificate_figure(wildcards.certificate_figure),
        source=source_fingerprint(SCRIPTS / "draw_certificate_figure.py"),
    shell:
        'python "$SCRIPTS/draw_certificate_figure.py" --settings {params.settings:q} '
        "--figure {wildcards.certificate_figure} --certificates {input.certificates} --ledgers {input.ledgers} "
        "--png {output.png} --pdf {output.pdf} 2> {log}"


rule write_certificate_tables:
    input:
        **CERTIFIED_RESULTS,
    output:
        csv=[
            report(f"{R}/tables/{t}.csv", labels=declared.table_labels(t), **CERTIFICATE_TABLE)
            for t in CERTIFICATE_CSV
        ],
        tex=expand(f"{R}/tables/{{table}}.tex", table=[*CERTIFICATE_TABLES, "certificate_tables"]),
    log:
        f"{R}/logs/write_certificate_tables.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_tables(),
        source=source_fingerprint(SCRIPTS / "write_certificate_tables.py"),
        directory=subpath(output[0], parent=True),
    shell:
        'python "$SCRIPTS/write_certificate_tables.py" --settings {params.settings:q} '
        "--certificates {input.certificates} --ledgers {input.ledgers} --output-dir {params.directory} 2> {log}"
