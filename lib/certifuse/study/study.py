"""The whole configuration of a study, and the cells that it consists of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, create_model, model_validator

from certifuse.base.records import Count, MisfitError, Settings, summary_of
from certifuse.study.cells import FINETUNED, SINGLE, WIDER, Cell, Family, SubloraCell, SubspaceCell
from certifuse.study.figures import Drawing, figures_of
from certifuse.study.reading.command_line import with_command_line_sources, with_command_line_types
from certifuse.study.reading.problems import read_settings, refuse_unplain
from certifuse.study.results_directory import check_place, results_directory
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS
from certifuse.study.settings.certificates import CertificateSettings
from certifuse.study.settings.data import CifarData, DataSettings, NpzData, SplitSettings
from certifuse.study.settings.evaluation import EvaluationSettings, ExecutionSettings, StatisticsSettings
from certifuse.study.settings.figures import (
    CertificateFiguresSettings,
    FigureSettings,
    FiguresSettings,
    SubloraFiguresSettings,
)
from certifuse.study.settings.fusion import FusionSettings
from certifuse.study.settings.grid import BaselineSettings, Block
from certifuse.study.settings.pretraining import PretrainingSettings
from certifuse.study.settings.sublora import LEARNED, NULLS, UNDIVIDED, SubloraSettings

ArchitecturesSettings: Any = create_model(
    "ArchitecturesSettings",
    __base__=Settings,
    __doc__="The size of each architecture; the defaults are the published full-size networks.",
    **{  # type: ignore[call-overload]
        name: (settings, Field(default=settings(), description=summary_of(settings)))
        for name, settings in ARCHITECTURE_SETTINGS.items()
    },
)


class Study(Settings):
    """One study: everything that its results depend on."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="Shown in captions and in the report.")
    results_dir: Annotated[str, AfterValidator(results_directory)] = Field(
        default="results",
        max_length=200,
        description="Where everything is written, one per study: a directory of its own, of letters, digits, blanks "
        "and . _ - +",
    )
    data: DataSettings | None = Field(default=None, description="The images; not needed without `grid`.")
    splits: SplitSettings = Field(default=SplitSettings(), description="How the images are divided.")
    architectures: ArchitecturesSettings = Field(
        default=ArchitecturesSettings(), description="The size of each architecture."
    )
    pretraining: PretrainingSettings = Field(
        default=PretrainingSettings(), description="Training of experts and of the single model."
    )
    fusion: FusionSettings = Field(default=FusionSettings(), description="Joint training of the fused network.")
    grid: tuple[Block, ...] = Field(
        default=(), description="The fused networks to train: a list of blocks. May be empty beside `sublora`."
    )
    baselines: BaselineSettings = Field(default=BaselineSettings(), description="Controls beside the grid.")
    execution: ExecutionSettings = Field(default=ExecutionSettings(), description="How the steps compute.")
    evaluation: EvaluationSettings = Field(default=EvaluationSettings(), description="How models are scored.")
    statistics: StatisticsSettings = Field(default=StatisticsSettings(), description="Intervals and tests.")
    certificates: CertificateSettings = Field(
        default=CertificateSettings(), description="Generalisation certificates; none without blocks."
    )
    figures: FiguresSettings = Field(default=FiguresSettings(), description="Style of each figure.")
    certificate_figures: CertificateFiguresSettings = Field(
        default=CertificateFiguresSettings(), description="Style of each figure of certificates."
    )
    sublora: SubloraSettings | None = Field(default=None, description="Language models in subspaces; none without it.")
    sublora_figures: SubloraFiguresSettings = Field(
        default=SubloraFiguresSettings(), description="Style of each figure of the language models."
    )
    jobs_per_gpu: Count = Field(
        default=1, description="Trainings at once on one GPU, where the workflow hands out the GPUs of a machine."
    )
    only_finished: bool = Field(
        default=False,
        description="Gather the cells whose scores are there, as they are, and show the others as missing; run none.",
    )

    @model_validator(mode="after")
    def _something_to_run(self) -> Self:
        if not self.grid and self.sublora is None:
            raise MisfitError("grid", "expected at least one block, or a section sublora, found neither")
        if self.data is None and (self.grid or self.certificates.blocks):
            raise MisfitError("data", "this key is required beside grid or certificates, found none")
        return self

    @model_validator(mode="after")
    def _one_spelling_per_lambda(self) -> Self:
        spelling: dict[float, tuple[str, str]] = {}
        named: dict[str, Sequence[Block]] = {"grid": self.grid, "certificates.blocks": self.certificates.blocks}
        blocks = {f"{where}.{number}": block for where, of in named.items() for number, block in enumerate(of)}
        for where, block in blocks.items():
            for lam in block.lambdas:
                first, place = spelling.setdefault(float(lam), (lam, where))
                if first != lam:
                    expected = f'expected "{first}", as in {place}.lambdas, found "{lam}"'
                    raise MisfitError(f"{where}.lambdas", f"{expected}: spell a value one way")
        return self

    @model_validator(mode="after")
    def _single_seeds_in_grid(self) -> Self:
        known = {seed for block in self.grid for seed in block.seeds}
        unknown = [seed for seed in self.baselines.single_model_seeds if seed not in known]
        if unknown and self.grid:
            expected = f"expected seeds of the grid ({', '.join(map(str, sorted(known)))})"
            raise MisfitError("baselines.single_model_seeds", f"{expected}, found {', '.join(map(str, unknown))}")
        return self

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell once, in the order of the blocks."""
        return tuple(dict.fromkeys(cell for block in self.grid for cell in block.cells()))

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """Every (architecture, seed) of the grid: the cells of one family share their experts and baselines."""
        return tuple(dict.fromkeys(Family(cell.architecture, cell.seed) for cell in self.cells))

    @cached_property
    def family_trainings(self) -> tuple[tuple[str, int, str], ...]:
        """Trainings of each family beside its cells: (architecture, seed, member or `finetuned`)."""
        finetuned = [FINETUNED] if self.baselines.finetuned_average else []
        return tuple(
            (architecture, seed, training)
            for architecture, seed in self.families
            for training in (*self.members(architecture, seed), *finetuned)
        )

    @cached_property
    def subspace_cells(self) -> tuple[SubspaceCell, ...]:
        """Every training in a subspace once, in the order of the blocks."""
        blocks = self.certificates.blocks
        return tuple(dict.fromkeys(cell for block in blocks for cell in block.subspace_cells()))

    @cached_property
    def certified_cells(self) -> tuple[Cell, ...]:
        """The cells of the grid that are certified as they are: those that a certificate block names."""
        named = {cell.cell for cell in self.subspace_cells}
        return tuple(cell for cell in self.cells if cell in named)

    @cached_property
    def sublora_cells(self) -> tuple[SubloraCell, ...]:
        """Every training of a language model once, in the order of the blocks."""
        return () if self.sublora is None else tuple(dict.fromkeys(self.sublora.cells()))

    @cached_property
    def learned_cells(self) -> tuple[SubloraCell, ...]:
        """The trainings of mode `learned`, whose splits have figures of their own."""
        return tuple(cell for cell in self.sublora_cells if cell.mode == LEARNED)

    @cached_property
    def sublora_budgets(self) -> tuple[int, ...]:
        """Every d that several modes divide among weights, ascending: each has figures that compare them."""
        divided = {(cell.d, cell.mode) for cell in self.sublora_cells if cell.mode not in (*NULLS, *UNDIVIDED)}
        modes = Counter(d for d, _ in divided)
        return tuple(sorted(d for d, count in modes.items() if count > 1))

    @cached_property
    def learned_budgets(self) -> tuple[int, ...]:
        """Every d of a training of mode `learned`, ascending: each has a figure of its splits."""
        return tuple(sorted({cell.d for cell in self.learned_cells}))

    @cached_property
    def drawings(self) -> dict[str, Drawing]:
        """Every figure of this study by its place: those of its parts, for each budget where a figure is of one."""
        parts = {
            "fusion": bool(self.grid),
            "certificates": bool(self.certificates.blocks),
            "sublora": self.sublora is not None,
        }
        drawn = [
            Drawing(name, figure, budget)
            for part, present in parts.items()
            if present
            for name, figure in figures_of(part).items()
            for budget in ([None] if figure.budgets is None else getattr(self, figure.budgets))
        ]
        return {drawing.place: drawing for drawing in drawn}

    def style_of(self, drawing: Drawing) -> FigureSettings:
        """The section of a figure."""
        sections = {
            "fusion": self.figures,
            "certificates": self.certificate_figures,
            "sublora": self.sublora_figures,
        }
        style: FigureSettings = getattr(sections[drawing.figure.part], drawing.name)
        return style

    def single_models(self, architecture: str, seed: int) -> tuple[str, ...]:
        """The members of a family that are trained on all training images."""
        if seed not in self.baselines.single_model_seeds:
            return ()
        return (SINGLE,) if getattr(self.baselines.wider_single, architecture) is None else (SINGLE, WIDER)

    def members(self, architecture: str, seed: int) -> tuple[str, ...]:
        """The networks that are pre-trained for a family: experts, and models on all training images."""
        experts = (f"expert_{index}" for index in range(self.splits.experts))
        return (*experts, *self.single_models(architecture, seed))

    @property
    def image_file(self) -> str | None:
        """The user's own image file, which the workflow watches; none for other sources."""
        return self.data.path if isinstance(self.data, NpzData) else None

    @property
    def may_download_images(self) -> bool:
        """True where `prepare_images` may use the network."""
        return isinstance(self.data, CifarData) and self.data.download

    @property
    def language(self) -> SubloraSettings:
        """The section `sublora`, which the rules of language models are for."""
        assert self.sublora is not None, "the rules of language models are for studies with a section sublora"
        return self.sublora


def read_study(config: Mapping[str, Any], command_line: Mapping[str, Any] = MappingProxyType({})) -> Study:
    """The study in a parsed configuration, part of which may come from the command line.

    Raises:
        UserError: one line per problem, each with path, value, what is allowed and the nearest spelling.
    """
    refuse_unplain(config, "config")
    config = with_command_line_sources(config, command_line)
    study = read_settings(Study, with_command_line_types(Study, config, command_line), "config", command_line)
    check_place(study.results_dir)
    return study
