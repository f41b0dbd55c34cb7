"""Every step of the workflow by its rule, for tools that meet them all. No step imports this."""

from certifuse.study.steps.certificates import CertifyJoint, CertifySubspace
from certifuse.study.steps.data import PrepareCorpus, PrepareImages, SplitImages
from certifuse.study.steps.gathering import CompareCells, Gather, GatherCertificates, GatherGates, GatherSublora
from certifuse.study.steps.language import CertifyNgram, CertifySublora, TrainSublora
from certifuse.study.steps.reporting import (
    DrawFigure,
    WriteCertificateTables,
    WriteStartPage,
    WriteSubloraTables,
    WriteTables,
)
from certifuse.study.steps.step import Step
from certifuse.study.steps.training import (
    EvaluateBaselines,
    EvaluateFusion,
    FinetuneExperts,
    PretrainExpert,
    TrainFusion,
)

STEPS: dict[str, type[Step]] = {
    step.rule: step
    for step in (
        *(PrepareImages, SplitImages, PrepareCorpus),
        *(PretrainExpert, FinetuneExperts, TrainFusion, EvaluateBaselines, EvaluateFusion),
        *(CertifySubspace, CertifyJoint, TrainSublora, CertifySublora, CertifyNgram),
        *(Gather, CompareCells, GatherCertificates, GatherSublora, GatherGates),
        *(DrawFigure, WriteTables, WriteCertificateTables, WriteSubloraTables, WriteStartPage),
    )
}
