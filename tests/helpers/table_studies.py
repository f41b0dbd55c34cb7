"""The studies of the rerun table: one of each kind of source, with every rule of the workflow in it.

They are never run. Snakemake is told that they are finished (`--touch` of empty files), so that they may have all
architectures at their full size: what it reruns depends on its records alone.
"""

from typing import Any

BLOCK: dict[str, Any] = {"architectures": ["resnet"], "fusions": ["concatenation"], "lambdas": ["1.0"], "seeds": [0]}
ARCHITECTURES = ("resnet", "densenet", "improved_wide_resnet", "resnext")
AUGMENTED: dict[str, Any] = {"augmentation": {"crop_padding": 2}}

EMBEDDED: dict[str, Any] = {
    "name": "table",
    "results_dir": "results/Ziffern für März",  # blanks and letters that every command must quote
    "data": {"source": "digits"},
    "splits": {"experts": 2},
    "pretraining": {**AUGMENTED, "per_architecture": {"densenet": AUGMENTED}},
    "fusion": {**AUGMENTED, "per_fusion": {"multiplicative": AUGMENTED}},
    "grid": [BLOCK | {"architectures": list(ARCHITECTURES)}, BLOCK | {"fusions": ["multiplicative"]}],
    "certificates": {"training": AUGMENTED, "levels": [3], "blocks": [BLOCK | {"dims": [4]}]},
    "sublora": {
        "corpus": {"source": "python_docs", "gpt2_bpe": "byte_pairs"},
        "model": {"layers": 2, "heads": 2, "width": 16, "context": 32},
        "grid": [{"budgets": [8], "modes": ["uniform", "learned"], "seeds": [0]}],
        "levels": [3],
    },
}


def _with_sources(name: str, data: dict[str, Any], corpus: dict[str, Any]) -> dict[str, Any]:
    sublora = EMBEDDED["sublora"] | {"corpus": corpus}
    return EMBEDDED | {"results_dir": f"results/{name}", "data": data, "sublora": sublora}


FILES = _with_sources(
    "files",
    {"source": "npz", "path": "a.npz"},
    {"source": "jsonl", "train": ["a.jsonl"], "validation": ["b.jsonl"]},
)
ARCHIVES = _with_sources("archives", {"source": "cifar100"}, {"source": "openwebtext", "download": True})
STUDIES = {"embedded": EMBEDDED, "files": FILES, "archives": ARCHIVES}

USER_FILES = ("a.npz", "b.npz", "a.jsonl", "b.jsonl", "earlier/fusion/module.safetensors")
"""What these studies, or changes of them, want to be there."""
