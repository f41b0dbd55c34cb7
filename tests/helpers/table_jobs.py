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
OF_BUDGETS = ("pareto_frontier", "compression_comparison", "learned_gating_heatmap")
OF_LANGUAGE = ("allocation_comparison_grid", "learned_gating_trend", "sublora_frontier", "gating_nulls")
LAST = ("write_start_page", "all")
"""What shows everything."""
DRAWN = {
    **{f"figures.{name}": jobs(f"draw_figure {name}", *LAST) for name in FIGURES},
    **{f"certificate_figures.{name}": jobs(f"draw_figure {name}", *LAST) for name in CERTIFICATE_FIGURES},
    **{f"sublora_figures.{name}": jobs(f"draw_figure sublora/{name}_d8", *LAST) for name in OF_BUDGETS},
    **{f"sublora_figures.{name}": jobs(f"draw_figure sublora/{name}", *LAST) for name in OF_LANGUAGE},
}
"""What each section of a figure brings."""


def _drawn(section: str) -> Jobs:
    return jobs().union(*(drawn for name, drawn in DRAWN.items() if name.startswith(f"{section}.")))


GATE_FIGURES = DRAWN["sublora_figures.learned_gating_heatmap"] | DRAWN["sublora_figures.learned_gating_trend"]
REPORT = _drawn("figures") | jobs("write_tables")
CERTIFICATE_REPORT = _drawn("certificate_figures") | jobs("write_certificate_tables")
LANGUAGE_REPORT = _drawn("sublora_figures") | jobs("write_sublora_tables")
GATHER = jobs("gather", "compare_cells") | REPORT
GATHER_CERTIFICATES = jobs("gather_certificates") | CERTIFICATE_REPORT
GATHER_LANGUAGE = (LANGUAGE_REPORT - GATE_FIGURES) | jobs("gather_sublora", *LAST)
GATHER_GATES = GATE_FIGURES | jobs("gather_gates", "write_sublora_tables")
COMPARED = jobs("compare_cells", "draw_figure lambda_ablation", "draw_figure fusion_comparison", "write_tables", *LAST)
WITH_INTERVALS = COMPARED | jobs(
    *("draw_figure diversity", "draw_figure certified_vs_test", "write_sublora_tables"),
    *("draw_figure sublora/pareto_frontier_d8", "draw_figure sublora/allocation_comparison_grid"),
    *("draw_figure sublora/learned_gating_trend", "draw_figure sublora/gating_nulls"),
)
"""What shows the confidence that intervals have."""

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
