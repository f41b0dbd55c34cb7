rule certify_subspace:
    input:
        **DATA,
        experts=rules.finetune_experts.input.experts,
        manifests=expand(rules.pretrain_expert.output.manifest, member=EXPERTS, allow_missing=True),
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
        **declared.working_directories(R, tasks.CERTIFY_SUBSPACE),
        settings=lambda wildcards: study.for_subspace(wildcards.fusion),
        source=source_fingerprint(SCRIPTS / "certify_subspace.py"),
        directory=subpath(output.manifest, parent=True),
    shell:
        'python "$SCRIPTS/certify_subspace.py" --architecture {wildcards.architecture} --fusion {wildcards.fusion} '
        "--lambda {wildcards.lam} --dim {wildcards.dim} --experts {input.experts} "
        "--expert-manifests {input.manifests} --output {params.directory} "
        f"{TRAINING_OPTIONS}"


rule certify_joint:
    input:
        **DATA,
        experts=rules.certify_subspace.input.experts,
        manifests=rules.certify_subspace.input.manifests,
        components=rules.train_fusion.output.manifest,
    output:
        **declared.certificate_files(f"{R}/{layout.JOINT_CERTIFICATE_DIR}"),
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
        'python "$SCRIPTS/certify_joint.py" --source {params.source} --fusion {wildcards.fusion} '
        "--lambda {wildcards.lam} --experts {input.experts} --expert-manifests {input.manifests} "
        "--components {params.components} "
        f"{EVALUATION_OPTIONS}"


rule gather_certificates:
    input:
        selection.certificates(study, rules.certify_subspace.output.certificates, rules.certify_joint.output),
    output:
        certificates=f"{R}/{layout.CERTIFICATES}",
        ledgers=f"{R}/{layout.LEDGERS}",
        missing=f"{R}/{layout.MISSING_CERTIFICATES}",
    log:
        f"{R}/logs/gather_certificates.log",
    conda:
        "../envs/reporting.yaml"
    params:
        settings=study.for_certificate_gathering(),
        source=source_fingerprint(SCRIPTS / "gather_certificates.py"),
        results=subpath(output.certificates, ancestor=2),
        finished=selection.finished_certificates(
            study, rules.certify_subspace.output.certificates, rules.certify_joint.output
        ),
    shell:
        'python "$SCRIPTS/gather_certificates.py" --settings {params.settings:q} --results-dir {params.results} 2> {log}'


rule draw_certificate_figure:
    input:
        certificates=rules.gather_certificates.output.certificates,
        ledgers=rules.gather_certificates.output.ledgers,
    output:
        png=report(
            f"{R}/figures/{{certificate_figure}}.png",
            caption="../workflow/report/certificate_figures.rst",
            category="Certificates",
            labels={"figure": "{certificate_figure}", "format": "PNG"},
        ),
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
        certificates=rules.gather_certificates.output.certificates,
        ledgers=rules.gather_certificates.output.ledgers,
    output:
        csv=report(
            expand(f"{R}/tables/{{table}}.csv", table=["certificates", "certificate_ledger", "crossings"]),
            caption="../workflow/report/certificate_tables.rst",
            category="Certificates",
            labels={"table": "certificates", "format": "CSV"},
        ),
        tex=expand(f"{R}/tables/{{table}}.tex", table=["certificates", "certificate_ledger", "certificate_tables"]),
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
