"""The rerun table: for every key of the configuration a change of it, and the jobs that this brings.

Keys are those of `setting_keys`; [] stands for the place in a list or mapping that `place` says.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from table_jobs import (
    BASELINES,
    BOUNDS,
    CELLS_AFTER,
    CERTIFICATE_REPORT,
    COMPARED,
    DRAWN,
    EVERYTHING,
    FINETUNED,
    FROM_SPLITS,
    FUSED,
    GATHER,
    GATHER_CERTIFICATES,
    GATHER_GATES,
    GATHER_LANGUAGE,
    IMAGES,
    JOINT,
    LANGUAGE,
    LANGUAGE_REPORT,
    LEARNED,
    MODELS,
    MULTIPLICATIVE,
    NGRAMS,
    REPORT,
    SCORES,
    SUBSPACE,
    WITH_INTERVALS,
    Jobs,
    after_experts,
    cell,
    certified,
    jobs,
    language_model,
    pretrained,
)
from table_studies import ARCHITECTURES


class Change(NamedTuple):
    """Another value of a key, what it brings, and the study in which the key is there."""

    key: str
    value: Any
    jobs: Jobs
    study: str = "embedded"


PLACES = {
    "pretraining.per_architecture": "densenet",
    "fusion.per_fusion": "multiplicative",
    "grid": "1",
    "certificates.blocks": "0",
    "sublora.grid": "0",
}


def place(key: str) -> str:
    """The key at the place where it is changed."""
    section, _, name = key.partition(".[].")
    return f"{section}.{PLACES[section]}.{name}" if name else key


def _section(name: str, values: Mapping[str, Any], rerun: Jobs, study: str = "embedded") -> Iterator[Change]:
    """Changes of keys of one section that all bring the same."""
    for key, value in values.items():
        yield Change(f"{name}.{key}", value, rerun, study)


MIXING = {"flip": False, "mixup_alpha": 0.5, "cutmix_alpha": 0.5, "mix_probability": 0.9, "erasing_probability": 0.2}
AUGMENTATION = {f"augmentation.{key}": value for key, value in (MIXING | {"crop_padding": 3}).items()} | {
    "augmentation": "strong"
}
"""These do not reach an architecture or a fusion rule that has an augmentation of its own."""
STYLE = {
    "palette": ["#111111", "#222222", "#333333", "#444444", "#555555", "#666666"],
    "baseline_colour": "#111111",
    "panel_width_in": 3.0,
    "panel_height_in": 3.0,
    "font_size_pt": 8.0,
    "dpi": 100,
}
SIZES = {
    "resnet": {"width": 32, "blocks": [1, 1]},
    "densenet": {"growth": 16, "blocks": [2, 2], "bottleneck": 2, "compression": 0.6, "dropout": 0.1},
    "improved_wide_resnet": {"depth": 16, "widen_factor": 2, "dropout": 0.1},
    "resnext": {"blocks": [1, 1], "cardinality": 4, "base_width": 32, "width": 32, "expansion": 2, "dropout": 0.1},
}
ADDED_SIZES = {"speednet": {"widths": [8, 8, 8], "kernels": [3, 3, 3]}}
"""Of an architecture that these studies do not have."""
RECIPE = {"batch_norm_momentum": 0.4, "train_norm_scales": False, "weight_average_decay": 0.9}
RECIPE |= {"image_sizes": [[0.5, 6]]}
MUON = {"momentum": 0.5, "steps": 3, "normalise_filters": True, "others": "adamw"}
MUON |= {"norm_lr_factor": 0.1, "head_lr_factor": 2.0}
"""Nothing reads these where the optimiser is another one."""
EXPERT_TRAINING = RECIPE | {
    "optimizer": "muon",
    "schedule": "triangular",
    "epochs": 7,
    "batch_size": 64,
    "lr": 0.03,
    "warmup_epochs": 1.5,
    "momentum": 0.8,
    "weight_decay": 0.01,
    "label_smoothing": 0.05,
    "clip_norm": 1.0,
    "early_stopping_patience": 3,
}
MODULE = {"input_dim": 16, "hidden_dim": 16, "dropout": 0.1}
ATTENTION = {"attention_heads": 2, "cross_expert_attention": False}
FUSED_LOSS = {"distillation_weight": 0.2, "distillation_temperature": 3.0, "label_smoothing": 0.05}
FUSED_ALONE = {
    "fusion_lr": 0.03,
    "fusion_schedule": "constant",
    "fusion_clip_norm": 2.0,
    "initial_components": "earlier",
}
FUSED_TRAINING = RECIPE | {
    "epochs": 7,
    "batch_size": 64,
    "expert_lr": 0.03,
    "dimension_adaptive_lr": False,
    "optimizer": "sgd",
    "weight_decay": 0.01,
    "expert_schedule": "constant",
    "min_lr_fraction": 0.2,
    "expert_accumulation_steps": 3,
    "expert_clip_norm": 2.0,
    "early_stopping_patience": 3,
    "save_every": 5,
}
EXECUTION = {"device": "cpu", "precision": "bf16", "channels_last": "off", "compile": "on", "deterministic": False}
STATISTICS = {"bootstrap_samples": 50, "seed": 1}
SUBSPACE_TRAINING = {
    "parameters": "fusion_and_head",
    "projector": "dense",
    "projector_seed": 1,
    "epochs": 7,
    "quantised_epochs": 3,
    "batch_size": 64,
    "lr": 0.3,
    "quantised_lr": 0.3,
    "weight_decay": 0.1,
    "clip_norm": 2.0,
    "codebook": "free",
} | AUGMENTATION
LANGUAGE_TRAINING = {
    "steps": 7,
    "batch_size": 64,
    "windows_per_pass": 8,
    "processes": 2,
    "lr": 0.3,
    "min_lr": 0.01,
    "warmup_steps": 3,
    "weight_decay": 0.1,
    "clip_norm": 2.0,
    "validate_every": 3,
    "quantised_steps": 3,
    "quantised_lr": 0.3,
    "codebook_every": 2,
}
NETWORK = {"size": "gpt2_small", "layers": 3, "heads": 4, "width": 32, "context": 64}
LORA = {"rank": 2, "alpha": 16.0, "dropout": 0.1}
GATES = {"lr": 0.3, "tau_start": 5.0, "tau_end": 0.2, "harden_at": 0.6}
DRAWS = {"delta": 0.01, "alphas": [0.1], "subsample": 50, "token_subsample": 40, "top_k": [1]}


def _images() -> Iterator[Change]:
    yield from _section("data", {"source": "cifar100", "test_fraction": 0.2, "seed": 1}, IMAGES)
    yield Change("data.root", "elsewhere", IMAGES, "archives")
    yield Change("data.download", True, jobs(), "archives")
    yield Change("data.path", "b.npz", IMAGES, "files")
    fractions = {"shared_fraction": 0.3, "unique_fraction": 0.1, "fusion_fraction": 0.3, "validation_fraction": 0.2}
    others = {"seed": 1, "scheme": "disjoint", "certificate_fraction": 0.1, "duplicate_correlation": 0.98}
    yield from _section("splits", fractions | others, jobs("split_images") | FROM_SPLITS)
    third = frozenset(f"pretrain_expert {name}/expert_2/0" for name in ARCHITECTURES)
    yield Change("splits.experts", 3, jobs("split_images") | FROM_SPLITS | third)


def _experts() -> Iterator[Change]:
    for name, sizes in ADDED_SIZES.items():
        yield from _section(f"architectures.{name}", sizes, jobs())
    for name, sizes in SIZES.items():
        resnet = MULTIPLICATIVE | SUBSPACE | JOINT if name == "resnet" else jobs()
        yield from _section(f"architectures.{name}", sizes, pretrained(name) | after_experts(name) | resnet)
    yield from _section("pretraining", EXPERT_TRAINING, FROM_SPLITS)
    for where in ("pretraining", "pretraining.per_architecture.[]"):
        yield from _section(f"{where}.muon", MUON, jobs())
    alone = pretrained("densenet") | after_experts("densenet")
    yield from _section("pretraining", AUGMENTATION, FROM_SPLITS - (alone - GATHER))
    yield from _section("pretraining.per_architecture.[]", EXPERT_TRAINING | AUGMENTATION, alone)


def _fusion() -> Iterator[Change]:
    yield from _section("fusion", MODULE, CELLS_AFTER | SUBSPACE)
    for where in ("fusion", "fusion.per_fusion.[]"):
        yield from _section(where, ATTENTION, jobs())
        yield from _section(f"{where}.muon", MUON, jobs())
    yield from _section("fusion", FUSED_LOSS, FUSED | SUBSPACE)
    yield from _section("fusion", FUSED_ALONE, CELLS_AFTER)
    yield from _section("fusion", FUSED_TRAINING, FUSED)
    yield from _section("fusion", AUGMENTATION, FUSED - MULTIPLICATIVE)
    every = MODULE | FUSED_LOSS | FUSED_ALONE | FUSED_TRAINING | AUGMENTATION
    yield from _section("fusion.per_fusion.[]", every, MULTIPLICATIVE | GATHER)


def _grid() -> Iterator[Change]:
    yield Change("grid.[].architectures", ["densenet"], cell("densenet", "multiplicative") | GATHER)
    yield Change("grid.[].fusions", ["simpleAddition"], cell("resnet", "simpleAddition") | GATHER)
    yield Change("grid.[].lambdas", ["2.0"], cell("resnet", "multiplicative", "2.0") | GATHER)
    family = jobs("finetune_experts resnet/1", "evaluate_baselines resnet/1")
    other_seed = pretrained("resnet", 1, single=False) | family | cell("resnet", "multiplicative", seed=1)
    yield Change("grid.[].seeds", [1], other_seed | GATHER)
    yield from _section("baselines", {"single_model_seeds": [], "finetuned_average": False}, BASELINES | GATHER)
    for name, sizes in ADDED_SIZES.items():
        yield from _section(f"baselines.wider_single.{name}", sizes, jobs())
    for name, sizes in SIZES.items():
        wider = jobs(f"pretrain_expert {name}/single_wider/0", f"evaluate_baselines {name}/0")
        yield from _section(f"baselines.wider_single.{name}", sizes, wider | GATHER)
    yield Change("baselines.finetuned_as", "multiplicative", FINETUNED | GATHER)


def _scores() -> Iterator[Change]:
    trained = FROM_SPLITS | MODELS
    yield from _section("execution", EXECUTION | {"threads": 2}, trained)
    values = {"batch_size": 64, "calibration_bins": 10, "stacking_l2": [1.0], "superclasses": "cifar100"}
    yield from _section("evaluation", values | {"two_views": True}, SCORES)
    yield Change("statistics.confidence", 0.9, WITH_INTERVALS)
    yield from _section("statistics", STATISTICS, COMPARED)
    yield Change("statistics.convergence_tolerance", 0.01, DRAWN["figures.lambda_ablation"])
    yield Change("name", "other", REPORT | CERTIFICATE_REPORT | LANGUAGE_REPORT)
    for section, drawn in DRAWN.items():
        yield from _section(section, STYLE, drawn)


def _certificates() -> Iterator[Change]:
    yield Change("certificates.delta", 0.01, SUBSPACE | JOINT)
    yield Change("certificates.levels", [5], SUBSPACE)
    yield Change("certificates.joint_levels", 5, JOINT)
    yield from _section("certificates.training", SUBSPACE_TRAINING, SUBSPACE)
    block = "certificates.blocks.[]"
    densenet = certified("densenet") | jobs("certify_joint densenet/concatenation/1.0/0")
    yield Change(f"{block}.architectures", ["densenet"], densenet | GATHER_CERTIFICATES)
    rule = certified("resnet", "multiplicative") | jobs("certify_joint resnet/multiplicative/1.0/0")
    yield Change(f"{block}.fusions", ["multiplicative"], rule | GATHER_CERTIFICATES)
    yield Change(f"{block}.lambdas", ["2.0"], certified("resnet", lam="2.0") | GATHER_CERTIFICATES)
    other_seed = pretrained("resnet", 1, single=False) | certified("resnet", seed=1)
    yield Change(f"{block}.seeds", [1], other_seed | GATHER_CERTIFICATES)
    yield Change(f"{block}.dims", [8], certified("resnet", dim=8) | GATHER_CERTIFICATES)


def _language() -> Iterator[Change]:
    drawn = {"validation_fraction": 0.2, "validation_seed": 1, "max_documents": 9, "min_tokens": 2}
    embedded = {"source": "openwebtext", "tokenizer": "gpt2", "gpt2_bpe": "elsewhere", "min_characters": 9}
    yield from _section("sublora.corpus", drawn | embedded, LANGUAGE)
    files = {"train": ["a.jsonl", "b.jsonl"], "validation": [], "text_key": "body"}
    yield from _section("sublora.corpus", files, LANGUAGE, "files")
    yield from _section("sublora.corpus", {"dataset": "other", "revision": "main"}, LANGUAGE, "archives")
    yield Change("sublora.corpus.download", False, jobs(), "archives")
    yield from _section("sublora.model", NETWORK, MODELS)
    yield from _section("sublora.model.lora", LORA, MODELS)
    yield from _section("sublora.training", LANGUAGE_TRAINING | {"projector": "dense", "codebook": "free"}, MODELS)
    yield Change("sublora.training.validation_documents", 9, MODELS | NGRAMS)
    yield from _section("sublora.training.gates", GATES, LEARNED)
    yield from _section("sublora.bounds", DRAWS | {"stride": 16, "batch_tokens": 512}, BOUNDS)
    yield Change("sublora.levels", [5], _other_levels())
    yield Change("sublora.ngrams", ["uniform"], GATHER_LANGUAGE)
    yield Change(
        "sublora.grid.[].modes", ["uniform", "learned", "fixed_0.5"], language_model("fixed_0.5") | GATHER_LANGUAGE
    )
    more = language_model("uniform", seed=1) | language_model("learned", seed=1)
    yield Change("sublora.grid.[].seeds", [0, 1], more | GATHER_LANGUAGE | GATHER_GATES)
    yield Change("sublora.grid.[].budgets", [16], _other_budget())


def _other_levels() -> Jobs:
    return language_model("uniform", level=5) | language_model("learned", level=5) | GATHER_LANGUAGE | GATHER_GATES


def _other_budget() -> Jobs:
    models = language_model("uniform", 16) | language_model("learned", 16)
    return models | frozenset(
        job.replace(" 8/", " 16/").replace("_d8", "_d16") for job in GATHER_LANGUAGE | GATHER_GATES
    )


def _study() -> Iterator[Change]:
    yield Change("results_dir", "results/other", EVERYTHING)
    yield Change("jobs_per_gpu", 2, jobs())
    yield Change("only_finished", True, GATHER | GATHER_CERTIFICATES | GATHER_LANGUAGE | GATHER_GATES)


TABLE = [
    *_images(),
    *_experts(),
    *_fusion(),
    *_grid(),
    *_scores(),
    *_certificates(),
    *_language(),
    *_study(),
]
