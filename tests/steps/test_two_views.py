"""Scores of an image and its mirror image together: by hand, under names of their own, beside one-view scores."""

import pytest
import torch

from certifuse.base.rows import read_rows
from certifuse.data.images.image_set import load_image_set, normalise
from certifuse.data.images.splits import load_splits
from certifuse.evaluation.images.combination import two_views
from certifuse.evaluation.images.predictions import load_predictions
from certifuse.models.components.assembly import find_components, load_network
from certifuse.reporting.predictors import TWO_VIEWS, predictor_name
from certifuse.steps.evaluate_baselines import evaluate_baselines
from certifuse.steps.evaluate_fusion import evaluate_fusion
from certifuse.study import paths
from certifuse.study.cells import Family
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.steps.training import EvaluateBaselines, EvaluateFusion


def test_two_views_are_the_mean_of_probabilities():
    first, second = (torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(seed)) for seed in range(2))
    expected = (first.softmax(-1) + second.softmax(-1)) / 2
    torch.testing.assert_close(two_views(first.log_softmax(-1), second.log_softmax(-1)).exp(), expected.double())


@pytest.fixture(scope="module")
def scored(tiny, tmp_path_factory):
    """Scores of a cell and of its family, with one view and with two; and the trained cell."""
    root = tmp_path_factory.mktemp("views")
    run = tiny.train(root / "run", epochs=1)
    common = {"images": tiny.images, "splits": tiny.splits, "source": "test"}
    for views in (1, 2):
        settings = {"evaluation": EvaluationSettings(two_views=views == 2), "execution": run.step.execution}
        files = EvaluateFusion.Files(components=run.directory, output=root / f"cell_{views}", **common)
        evaluate_fusion(EvaluateFusion(cell=run.cell, **settings), files)
        others = {"experts": tiny.experts, "single": tiny.experts[:1], "output": root / f"family_{views}"}
        evaluate_baselines(
            EvaluateBaselines(cell=Family("resnet", 0), **settings), EvaluateBaselines.Files(**others, **common)
        )
    return root, run


def metrics(directory):
    return {(row["predictor"], row["metric"]): row["value"] for row in read_rows(directory / "metrics.csv")}


def probabilities(tiny, network):
    """Global and expert probabilities of the test images, averaged by hand over both views."""
    images, splits = load_image_set(tiny.images), load_splits(tiny.splits)
    test = normalise(images.test_images, torch.tensor(splits.mean), torch.tensor(splits.std))
    with torch.inference_mode():
        views = [network.eval()(batch) for batch in (test, torch.flip(test, [3]))]
    fused = sum(view.global_logits_NK.softmax(-1) for view in views) / 2
    experts = sum(view.expert_logits_ENK.softmax(-1) for view in views) / 2
    return images.test_labels, fused, experts


def assert_scores(directory, predictor, probs_NK, labels_N):
    found = metrics(directory)
    nll = -probs_NK.gather(1, labels_N[:, None]).log().mean()
    assert float(found[predictor, "nll_nats"]) == pytest.approx(float(nll), rel=1e-4)
    predicted = load_predictions(directory / paths.PREDICTIONS_FILE)[f"{predictor}/predicted"]
    assert (predicted.long() == probs_NK.argmax(-1)).double().mean() >= 0.97  # but for ties within rounding


def test_predictors_of_two_views_by_hand(tiny, scored):
    root, run = scored
    labels, fused, experts = probabilities(tiny, load_network(*find_components(run.directory)))
    assert_scores(root / "cell_2", f"fused_{TWO_VIEWS}", fused, labels)
    assert_scores(root / "cell_2", f"expert_1_after_{TWO_VIEWS}", experts[1], labels)
    assert_scores(root / "cell_2", f"probability_average_after_{TWO_VIEWS}", experts.mean(0), labels)
    labels, _, experts = probabilities(tiny, load_network(tiny.experts, None, None))
    assert_scores(root / "family_2", f"probability_average_before_{TWO_VIEWS}", experts.mean(0), labels)
    assert_scores(root / "family_2", f"single_{TWO_VIEWS}", experts[0], labels)


@pytest.mark.parametrize("kind", ["cell", "family"])
def test_what_one_view_says_is_not_touched(scored, kind):
    root, _ = scored
    one, two = metrics(root / f"{kind}_1"), metrics(root / f"{kind}_2")
    added = {predictor for predictor, _ in two.keys() - one.keys()}
    assert {name: value for name, value in two.items() if name[0] not in added} == one
    assert added
    assert all(predictor.endswith(f"_{TWO_VIEWS}") for predictor in added)
    assert not any(predictor.endswith(TWO_VIEWS) for predictor, _ in one)


def test_their_names_in_words_say_so():
    assert predictor_name(f"fused_{TWO_VIEWS}") == "fused, two views"
    expected = f"{predictor_name('probability_average_before')}, two views"
    assert predictor_name(f"probability_average_before_{TWO_VIEWS}") == expected
