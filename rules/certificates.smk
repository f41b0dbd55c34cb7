from certifuse.study.steps.certificates import CertifyJoint, CertifySubspace
from certifuse.study.steps.gathering import GatherCertificates

LEVELS = [paths.LEVELS_DIR.format(levels=number) for number in study.certificates.levels]


rule certify_subspace:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        experts=expand(rules.pretrain_expert.output.component, member=EXPERTS, allow_missing=True),
        manifests=expand(rules.pretrain_expert.output.manifest, member=EXPERTS, allow_missing=True),
    output:
        manifest=f"{R}/{paths.SUBSPACE_DIR}/{paths.MANIFEST_FILE}",
        certificates=[f"{R}/{paths.SUBSPACE_DIR}/{name}/{paths.CERTIFICATE_FILE}" for name in LEVELS],
        bitstreams=[f"{R}/{paths.SUBSPACE_DIR}/{name}/{paths.BITSTREAM_FILE}" for name in LEVELS],
        csv=f"{R}/{paths.SUBSPACE_LOG_DIR}/full_precision.csv",
        quantised_csv=[f"{R}/{paths.SUBSPACE_LOG_DIR}/{name}.csv" for name in LEVELS],
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
        run=program("certify_subspace"),
        settings=settings_of(CertifySubspace),
        source=source_of(CertifySubspace),
        directory=subpath(output.manifest, parent=True),
        results=subpath(output.manifest, ancestor=5),
        job=tasks.CERTIFY_SUBSPACE,
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--images {input.images:q} --splits {input.splits:q} "
        "--experts {input.experts:q} --expert-manifests {input.manifests:q} "
        "--output {params.directory:q} --manifest {output.manifest:q} --log-file {output.csv:q} "
        "--resume-dir {params.results:q}/.resume/{params.job} --telemetry-dir {params.results:q}/telemetry "
        "--time-budget-min {resources.runtime} 2> {log:q}"


rule certify_joint:
    input:
        images=rules.prepare_images.output.images,
        splits=rules.split_images.output.splits,
        experts=expand(rules.pretrain_expert.output.component, member=EXPERTS, allow_missing=True),
        manifests=expand(rules.pretrain_expert.output.manifest, member=EXPERTS, allow_missing=True),
        components=rules.train_fusion.output.manifest,
    output:
        certificate=f"{R}/{paths.JOINT_CERTIFICATE_DIR}/{paths.CERTIFICATE_FILE}",
        bitstream=f"{R}/{paths.JOINT_CERTIFICATE_DIR}/{paths.BITSTREAM_FILE}",
    log:
        f"{R}/logs/{tasks.CERTIFY_JOINT}.log",
    conda:
        "../envs/training.yaml"
    threads: study.execution.threads
    resources:
        **TRAINING,
    params:
        run=program("certify_joint"),
        settings=settings_of(CertifyJoint),
        source=source_of(CertifyJoint),
        components=subpath(input.components, parent=True),
        directory=subpath(output.certificate, parent=True),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} "
        "--images {input.images:q} --splits {input.splits:q} "
        "--experts {input.experts:q} --expert-manifests {input.manifests:q} "
        "--components {params.components:q} --output {params.directory:q} 2> {log:q}"


CELL_CERTIFICATES = targets.each(study.subspace_cells, *rules.certify_subspace.output.certificates)
CELL_CERTIFICATES += targets.each(study.certified_cells, *rules.certify_joint.output)


rule gather_certificates:
    input:
        targets.awaited(study, CELL_CERTIFICATES),
    output:
        certificates=f"{R}/{paths.CERTIFICATES}",
        ledgers=f"{R}/{paths.LEDGERS}",
        missing=f"{R}/{paths.MISSING_CERTIFICATES}",
    log:
        f"{R}/logs/gather_certificates.log",
    localrule: True
    conda:
        "../envs/reporting.yaml"
    params:
        run=program("gather_certificates"),
        settings=settings_of(GatherCertificates),
        source=source_of(GatherCertificates),
        results=subpath(output.certificates, ancestor=2),
        finished=targets.finished(study, CELL_CERTIFICATES),
    shell:
        "{params.run} --settings {params.settings:q} --source {params.source} --results-dir {params.results:q} 2> {log:q}"
