"""The jobs of the studies of the rerun table, by what they depend on; as dry-runs name them: rule, wildcards."""

from collections.abc import Iterable

from table_studies import ARCHITECTURES

Jobs = frozenset[str]


def jobs(*names: str) -> Jobs:
    """A set of jobs."""
    return frozenset(names)


def _each(text: str, values: Iterable[str]) -> Jobs:
    return frozenset(text.format(value) for value in values)


# ---- reports ---------------------------------------------------------------------------------------

FIGURES = ("lambda_ablation", "fusion_comparison", "reliability", "training_curves", "diversity")
CERTIFICATE_FIGURES = ("certified_vs_dimension", "certified_vs_lambda", "certificate_frontier", "certified_vs_test")
DRAWN = {
    **{f"figures.{name}": jobs(f"draw_figure {name}", "all") for name in FIGURES},
    **{f"certificate_figures.{name}": jobs(f"draw_certificate_figure {name}", "all") for name in CERTIFICATE_FIGURES},
    "sublora_figures.pareto_frontier": jobs("draw_sublora_budget_figure 8/pareto_frontier", "all"),
    "sublora_figures.compression_comparison": jobs("draw_sublora_budget_figure 8/compression_comparison", "all"),
    "sublora_figures.learned_gating_heatmap": jobs("draw_gates_budget_figure 8/learned_gating_heatmap", "all"),
    "sublora_figures.learned_gating_trend": jobs("draw_gates_figure learned_gating_trend", "all"),
    "sublora_figures.allocation_comparison_grid": jobs("draw_sublora_figure allocation_comparison_grid", "all"),
    "sublora_figures.sublora_frontier": jobs("draw_sublora_figure sublora_frontier", "all"),
    "sublora_figures.gating_nulls": jobs("draw_sublora_figure gating_nulls", "all"),
}
"""What each section of a figure draws."""


def _drawn(section: str) -> Jobs:
    return jobs().union(*(drawn for name, drawn in DRAWN.items() if name.startswith(f"{section}.")))


GATE_FIGURES = DRAWN["sublora_figures.learned_gating_heatmap"] | DRAWN["sublora_figures.learned_gating_trend"]
REPORT = _drawn("figures") | jobs("write_tables")
CERTIFICATE_REPORT = _drawn("certificate_figures") | jobs("write_certificate_tables")
LANGUAGE_REPORT = _drawn("sublora_figures") | jobs("write_sublora_tables")
GATHER = jobs("gather", "compare_cells") | REPORT
GATHER_CERTIFICATES = jobs("gather_certificates") | CERTIFICATE_REPORT
GATHER_LANGUAGE = (LANGUAGE_REPORT - GATE_FIGURES) | jobs("gather_sublora", "all")
GATHER_GATES = jobs("gather_gates") | LANGUAGE_REPORT

# ---- images ----------------------------------------------------------------------------------------


def pretrained(architecture: str, seed: int = 0, single: bool = True) -> Jobs:
    """The experts of an (architecture, seed), and its single model."""
    members = ["expert_0", "expert_1", *(["single"] if single else [])]
    return _each(f"pretrain_expert {architecture}/{{}}/{seed}", members)


def cell(architecture: str, fusion: str = "concatenation", lam: str = "1.0", seed: int = 0) -> Jobs:
    """Training and evaluation of a cell."""
    return _each(f"{{}} {architecture}/{fusion}/{lam}/{seed}", ("train_fusion", "evaluate_fusion"))


def certified(architecture: str, fusion: str = "concatenation", lam: str = "1.0", seed: int = 0, dim: int = 4) -> Jobs:
    """The training in a subspace of a cell."""
    return jobs(f"certify_subspace {architecture}/{dim}/{fusion}/{lam}/{seed}")


def after_experts(architecture: str, seed: int = 0) -> Jobs:
    """What starts from the experts of an (architecture, seed), but for the cells of rules other than concatenation."""
    family = _each(f"{{}} {architecture}/{seed}", ("finetune_experts", "evaluate_baselines"))
    return family | cell(architecture, seed=seed) | GATHER


MULTIPLICATIVE = cell("resnet", "multiplicative")
CELLS = MULTIPLICATIVE.union(*map(cell, ARCHITECTURES))
BASELINES = _each("evaluate_baselines {}/0", ARCHITECTURES)
FINETUNED = _each("finetune_experts {}/0", ARCHITECTURES) | BASELINES
SCORES = frozenset(job for job in CELLS if job.startswith("evaluate_")) | BASELINES | GATHER
SUBSPACE = certified("resnet") | GATHER_CERTIFICATES
JOINT = jobs("certify_joint resnet/concatenation/1.0/0") | GATHER_CERTIFICATES
CELLS_AFTER = CELLS | GATHER | JOINT
FUSED = CELLS_AFTER | FINETUNED
FROM_EXPERTS = FUSED | SUBSPACE
FROM_SPLITS = FROM_EXPERTS.union(*map(pretrained, ARCHITECTURES))
IMAGES = jobs("prepare_images", "split_images") | FROM_SPLITS

# ---- language models -------------------------------------------------------------------------------


def language_model(mode: str, d: int = 8, seed: int = 0, level: int = 3) -> Jobs:
    """The training of a language model, and its certificate."""
    return jobs(f"train_sublora {d}/{mode}/{seed}", f"certify_sublora {d}/{level}/{mode}/{seed}")


NGRAMS = _each("certify_ngram {}", ("uniform", "unigram", "bigram"))
LEARNED = language_model("learned") | GATHER_LANGUAGE | GATHER_GATES
MODELS = language_model("uniform") | LEARNED
LANGUAGE_CERTIFICATES = _each("certify_sublora 8/3/{}/0", ("uniform", "learned")) | GATHER_LANGUAGE
BOUNDS = LANGUAGE_CERTIFICATES | NGRAMS
LANGUAGE = jobs("prepare_corpus") | MODELS | NGRAMS

EVERYTHING = IMAGES | LANGUAGE
