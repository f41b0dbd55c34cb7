"""The section of the language models: what is refused, what each rule depends on, which cells there are."""

import json
from typing import Any

import pytest
import study_config
import yaml
from study_config import CONFIG

from certifuse.base.errors import UserError
from certifuse.data.text.tokenisers import ByteTokeniser
from certifuse.models.language.gpt2 import build_gpt2
from certifuse.models.language.lora import add_lora
from certifuse.study.cells import SubloraCell
from certifuse.study.settings.sublora import INPUT_TOKENS, MODE_PATTERN, SubloraTraining, allocation_of
from certifuse.study.steps.data import PrepareCorpus
from certifuse.study.steps.gathering import GatherSublora
from certifuse.study.steps.language import CertifyNgram, CertifySublora, TrainSublora
from certifuse.study.steps.step import Step
from certifuse.study.study import Study, read_study

MINI: dict[str, Any] = {
    "name": "mini",
    "sublora": {
        "corpus": {"source": "python_docs"},
        "model": {"layers": 2, "heads": 2, "width": 16, "context": 32},
        "grid": [{"budgets": [20, 40], "modes": ["uniform", "fixed_0.2", "learned"], "seeds": [0, 1]}],
        "training": {"steps": 100},
    },
}
ONE_OF_MODES = (
    "expected one of uniform, proportional, learned, lora_only, subspace_only, learned_random, learned_permuted, "
    "learned_refixed, fixed_0.2 (or another share of B), found"
)
BUDGETS = "grid.0.budgets: expected {} to 1604 (the LoRA weights for layers 2, width 16, rank 4, tokenizer bytes)"
LORA_WEIGHTS = 4 * (2 * 2 * 2 * 16 + 16 + 257)


def changed(path: str, value: Any, config: Any = MINI) -> Any:
    """A copy of the configuration with the value at a dotted path below `sublora` replaced or added."""
    return study_config.changed(f"sublora.{path}", value, config)


# ---- refusals --------------------------------------------------------------------------------------

REFUSED = [
    ("grid", [], "grid: expected at least 1 in the list, found []"),
    ("grid.0.modes.0", "unifrom", f"grid.0.modes.0: {ONE_OF_MODES} \"unifrom\"; did you mean 'uniform'?"),
    ("grid.0.modes.1", "fixed_1.2", f"grid.0.modes.1: {ONE_OF_MODES} \"fixed_1.2\"; did you mean 'fixed_0.2'?"),
    ("grid.0.modes.1", "fixed_0.20", f"grid.0.modes.1: {ONE_OF_MODES} \"fixed_0.20\"; did you mean 'fixed_0.2'?"),
    ("grid.0.modes", ["learned", "learned"], "grid.0.modes: expected each value once, found learned more than once"),
    ("grid.0.budgets.0", 2, f"{BUDGETS.format(3)} for mode learned, found 2"),
    ("grid.0.budgets.1", 1605, f"{BUDGETS.format(1)} for mode uniform, found 1605"),
    ("levels", [1], "levels.0: expected a value greater than or equal to 2, found 1"),
    ("corpus.source", "imdb", 'corpus.source: expected one of python_docs, jsonl, openwebtext, found "imdb"'),
    (
        "corpus.min_caracters",
        9,
        "corpus.min_caracters: unknown key; allowed: tokenizer, gpt2_bpe, max_documents, min_tokens, "
        "validation_fraction, validation_seed, source, min_characters; did you mean 'min_characters'?",
    ),
    ("corpus.min_characters", 0, "corpus.min_characters: expected a value greater than or equal to 1, found 0"),
    (
        "corpus.tokenizer",
        "gpt2",
        "corpus.gpt2_bpe: expected the directory that holds vocab.bpe and encoder.json, for tokenizer gpt2 without "
        "download: true, found null",
    ),
    ("model.heads", 3, "model.width: expected a multiple of heads = 3, found 16"),
    ("bounds.alphas", [0.1, 1.0], "bounds.alphas.1: expected a value less than 1, found 1.0"),
    ("bounds.stride", 33, "bounds.stride: expected at most model.context = 32, found 33"),
    (
        "training.gates",
        {"tau_start": 1, "tau_end": 2},
        "training.gates.tau_end: expected at most tau_start = 1, found 2",
    ),
    ("training.processes", 3, "training.batch_size: expected a multiple of processes = 3, found 320"),
    ("training.epochs", 3, "training.epochs: unknown key; allowed: "),
]


@pytest.mark.parametrize(("path", "value", "line"), REFUSED, ids=[f"{path}={value}" for path, value, _ in REFUSED])
def test_a_mistake_is_one_line(path: str, value: Any, line: str) -> None:
    with pytest.raises(UserError) as raised:
        read_study(changed(path, value))
    (found,) = str(raised.value).splitlines()
    assert found.startswith(f"config: sublora.{line}")
    assert " found " in found or "unknown key" in found


def test_permuted_splits_need_two_layers() -> None:
    config = changed("grid.0.modes", ["learned_permuted"], changed("model.layers", 1))
    with pytest.raises(
        UserError, match=r"grid\.0\.modes: expected two layers or more for learned_permuted, found one$"
    ):
        read_study(config)


def test_a_study_needs_something_to_run() -> None:
    with pytest.raises(UserError) as raised:
        read_study({"name": "empty"})
    assert str(raised.value) == "config: grid: expected at least one block, or a section sublora, found neither"


def test_a_study_of_language_models_needs_no_images() -> None:
    study = read_study(MINI)
    assert (study.cells, study.families, study.data) == ((), (), None)
    assert study.image_file is None


# ---- cells and modes -------------------------------------------------------------------------------


def test_cells_are_a_product_each_once() -> None:
    study = read_study(MINI)
    assert len(study.sublora_cells) == 12
    first = SubloraCell(20, "uniform", 0), SubloraCell(20, "uniform", 1), SubloraCell(20, "fixed_0.2", 0)
    assert study.sublora_cells[:3] == first
    twice = changed("grid", MINI["sublora"]["grid"] * 2)
    assert read_study(twice).sublora_cells == study.sublora_cells


def test_lora_only_has_one_size_whatever_the_budgets() -> None:
    """That of the network, counted in torch."""
    study = read_study(changed("grid.0.modes", ["lora_only"]))
    assert study.sublora_cells == tuple(SubloraCell(LORA_WEIGHTS, "lora_only", seed) for seed in (0, 1))
    assert study.sublora is not None
    network = build_gpt2(study.sublora.model, 257, 0)
    add_lora(network, study.sublora.model.lora, 0)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == LORA_WEIGHTS


def test_input_tokens_are_those_of_the_tokenisers() -> None:
    assert {"bytes": ByteTokeniser().vocabulary.inputs, "gpt2": 50257} == INPUT_TOKENS


@pytest.mark.parametrize(
    ("mode", "kind", "ratio"),
    [
        ("uniform", "uniform", None),
        ("fixed_0.2", "fixed", 0.2),
        ("fixed_0.05", "fixed", 0.05),
        ("fixed_1", "fixed", 1.0),
        ("learned_random", "learned", None),
        ("learned_permuted", "learned", None),
        ("learned_refixed", "learned", None),
        ("lora_only", "lora_only", None),
    ],
)
def test_the_allocation_behind_a_name(mode: str, kind: str, ratio: float | None) -> None:
    training = SubloraTraining.from_json('{"projector": "sparse", "gates": {"tau_start": 5, "harden_at": 0.25}}')
    allocation = allocation_of(mode, training)
    assert (allocation.mode, allocation.ratio, allocation.projector) == (kind, ratio, "sparse")
    expected = (5.0, 0.25) if kind == "learned" else (10.0, 0.5)
    assert (allocation.tau_start, allocation.harden_at) == expected


# ---- slices ----------------------------------------------------------------------------------------

TRAINED = ("uniform", "fixed_0.2", "learned", "learned_random")


def slices(study: Study) -> dict[str, str]:
    cell = {"d": 20, "seed": 0}
    steps: dict[str, Step] = {
        "corpus": PrepareCorpus.of(study, {}),
        **{f"training {mode}": TrainSublora.of(study, cell | {"mode": mode}) for mode in TRAINED},
        "certificate": CertifySublora.of(study, cell | {"mode": "uniform", "levels": 3}),
        "ngram": CertifyNgram.of(study, {"ngram": "unigram"}),
        "gathering": GatherSublora.of(study, {}),
    }
    return {name: step.text for name, step in steps.items()}


TRAINING = {f"training {mode}" for mode in TRAINED}
TOUCHES = [
    ("corpus.min_characters", 50, {"corpus"}),
    ("model.width", 32, TRAINING | {"certificate"}),
    ("grid.0.budgets", [20, 40, 60], {"gathering"}),
    ("grid.0.seeds", [0], {"gathering"}),
    ("levels", [3], TRAINING | {"gathering"}),
    ("training.lr", 1e-3, TRAINING),
    ("training.gates", {"lr": 0.1}, {"training learned", "training learned_random"}),
    ("training.codebook", "free", TRAINING | {"certificate"}),
    ("bounds.subsample", 50, {"certificate", "ngram"}),
    ("bounds.token_subsample", 50, {"certificate", "ngram"}),
    ("ngrams", ["unigram"], {"gathering"}),
]


@pytest.mark.parametrize(("path", "value", "touched"), TOUCHES, ids=[case[0] for case in TOUCHES])
def test_a_key_touches_the_settings_of_its_rules_alone(path: str, value: Any, touched: set[str]) -> None:
    before, after = slices(read_study(MINI)), slices(read_study(changed(path, value)))
    assert {rule for rule, text in before.items() if after[rule] != text} == touched


def test_every_key_of_the_section_is_in_the_table_above() -> None:
    study = read_study(MINI)
    assert study.sublora is not None
    assert {path.split(".")[0] for path, _, _ in TOUCHES} == set(type(study.sublora).model_fields)


def test_the_settings_are_canonical_json() -> None:
    for text in slices(read_study(MINI)).values():
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


# ---- the shipped studies ---------------------------------------------------------------------------

GUIDE = {
    SubloraCell(d, mode, seed)
    for d in (1000, 2000)
    for mode in ("uniform", "fixed_0.2", "fixed_0.5", "fixed_0.8", "learned")
    for seed in (42, 123, 999)
}


@pytest.mark.parametrize("name", ["sublora", "sublora_small"])
def test_the_thirty_models_of_the_guide(name: str) -> None:
    study = read_study(yaml.safe_load((CONFIG / f"{name}.yaml").read_text(encoding="utf-8")))
    assert set(study.sublora_cells) >= GUIDE
    assert study.cells == ()


def test_the_guides_numbers() -> None:
    study = read_study(yaml.safe_load((CONFIG / "sublora.yaml").read_text(encoding="utf-8")))
    sublora = study.sublora
    assert sublora is not None
    assert set(study.sublora_cells) == GUIDE
    model, training = sublora.model, sublora.training
    assert (model.layers, model.heads, model.width, model.context) == (12, 12, 768, 1024)
    assert (model.lora.rank, model.lora.alpha, sublora.lora_weights) == (4, 32.0, 76_800 + 73_728 + 4 * 50_257)
    assert (training.steps, training.batch_size, training.warmup_steps) == (10_000, 8 * 40, 2000)
    assert (training.lr, training.min_lr, training.weight_decay, training.clip_norm) == (5e-4, 6e-5, 0.01, 1.0)


def test_mode_names_are_safe_in_paths() -> None:
    """A mode never holds what separates the wildcards of a path, but for its own underscores."""
    assert "/" not in MODE_PATTERN
    assert "seed" not in MODE_PATTERN


def test_a_budget_has_figures_of_what_it_compares():
    """A sweep over d of one mode adds none; splits are shown wherever they are learned."""
    block = {"budgets": [60, 80], "modes": ["uniform"], "seeds": [0]}
    swept = read_study(changed("grid", [*MINI["sublora"]["grid"], block]))
    assert (swept.sublora_budgets, swept.learned_budgets) == ((20, 40), (20, 40))
    alone = read_study(changed("grid", [block | {"modes": ["learned"]}]))
    assert (alone.sublora_budgets, alone.learned_budgets) == ((), (60, 80))
