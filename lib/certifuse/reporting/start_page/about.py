"""What was studied, in a paragraph: from the settings of the study and the cells that it asked for."""

from collections.abc import Iterable, Sequence

from certifuse.reporting.cells import architectures_of, fusions_of, grid, lambdas_of, missing_cells
from certifuse.reporting.frames import Frames
from certifuse.reporting.fusion.runs import count_test_images
from certifuse.reporting.sublora import frames as sublora
from certifuse.reporting.sublora.modes import mode_label, modes_in_order
from certifuse.reporting.text import counts_text
from certifuse.study.steps.reporting import WriteStartPage

SCHEMES = {
    "iid": "each trained on a part that all share and on one of its own",
    "disjoint": "each trained on an equal part of its own",
    "by_class": "each trained on some of the classes",
}


def about_fusion(frames: Frames, step: WriteStartPage) -> str:
    """The fusion study: images, experts, rules, lambdas, seeds, control, and what is missing."""
    asked, n_test = grid(frames.summary, frames.missing), count_test_images(frames.comparison)
    lams = lambdas_of(asked)
    tested = "" if n_test is None else f", tested on {n_test:,} images that no choice has seen"
    said = [
        f"{step.experts} experts of one architecture ({_listed(architectures_of(asked))}) classify {step.images} "
        f"images, {SCHEMES[step.scheme]}.",
        f"They are fused by a rule ({_listed(fusions_of(asked))}) and trained jointly on images that no expert has "
        f"seen, with the loss: global loss + λ × sum of individual losses, λ = {_listed(lams)}.",
        f"These are {len(asked)} cells of architecture, rule, λ and seed ({_seeds(asked['seed'])}){tested}.",
    ]
    if step.finetuned_as is not None:
        said.append(
            "The control is the probability average of the same experts, fine-tuned on the same images with the "
            f"epochs, rates and augmentation of {step.finetuned_as}, but never fused."
        )
    if lacking := len(missing_cells(frames.missing)):
        said.append(f"{lacking} cells have no result; the last table says why.")
    return " ".join(said)


def about_language(frames: Frames, step: WriteStartPage) -> str:
    """The study of language models: documents, budgets, modes, levels, seeds, and what is missing."""
    asked = sublora.of_models(sublora.grid(frames))
    modes = [mode_label(mode) for mode in modes_in_order(asked["mode"])]
    said = (
        f"Language models with LoRA weights are trained on documents ({step.corpus}) in a random subspace of d = "
        f"{counts_text(asked['d'])} dimensions, which a mode ({_listed(modes)}) divides between the matrices A and B; "
        f"their weights are quantised to {counts_text(asked['levels'])} levels and coded, so that a bound on their "
        f"loss holds ({_seeds(asked['seed'])})."
    )
    lacking = len(frames.missing)
    return said + (f" {lacking} certificates are missing; the last table says why." if lacking else "")


def _listed(names: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _seeds(seeds: Iterable[int]) -> str:
    count = len(set(seeds))
    return "one seed" if count == 1 else f"{count} seeds"
