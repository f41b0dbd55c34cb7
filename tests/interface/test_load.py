"""`certifuse.load`: a network that is asked about images as they are gives the stored predictions."""

import shutil

import numpy as np
import pytest
import torch

import certifuse
from certifuse.base.errors import UserError
from certifuse.models.components.assembly import find_components, load_network
from certifuse.models.components.files import load_component, read_header, save_component
from certifuse.study import paths


@pytest.mark.parametrize("file", ["", paths.COMPLETE_FILE])
def test_it_gives_the_stored_predictions(moved, file):
    network = certifuse.load(moved.directory / file)
    found = network.probabilities(moved.images)
    expected = moved.stored["fused/logits"].softmax(-1).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    for index, expert in enumerate(network.experts):
        expected = moved.stored[f"expert_{index}_after/logits"].softmax(-1).numpy()
        np.testing.assert_allclose(expert.probabilities(moved.images), expected, rtol=0, atol=1e-5)


def test_an_expert_alone_and_the_order_of_axes(moved, tiny):
    network = certifuse.load(tiny.experts[1])
    with torch.inference_mode():
        output = load_network([tiny.experts[1]], None, None).eval()(moved.normalised)
    expected = output.global_logits_NK.softmax(-1).numpy()
    for images in (moved.images, moved.images.transpose(0, 2, 3, 1), torch.from_numpy(moved.images)):
        np.testing.assert_allclose(network.probabilities(images), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(network.features(moved.images), output.features_ENd.numpy(), rtol=0, atol=1e-5)
    assert network.class_names == ("0", "1", "2", "3")
    assert network.predict(moved.images) == [str(label) for label in expected.argmax(-1)]


def test_without_its_normalisation_the_network_says_something_else(moved):
    """The control: the obvious way to get it wrong is not within the tolerance."""
    found = certifuse.load(moved.directory).probabilities(moved.images)
    with torch.inference_mode():
        raw = load_network(*find_components(moved.directory)).eval()(torch.from_numpy(moved.images).float() / 255)
    assert np.abs(found - raw.global_logits_NK.softmax(-1).numpy()).max() > 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: images / 255.0, r"^images: expected uint8 as they are, not normalised, found float64$"),
        (lambda images: images[0], r"^images: expected N x 1 x 8 x 8 or N x 8 x 8 x 1 with N >= 1, found 1 x 8 x 8$"),
        (lambda images: images[:0], r"found 0 x 1 x 8 x 8$"),
        (lambda images: images[..., :7], r"found 40 x 1 x 8 x 7$"),
    ],
)
def test_other_images_are_refused(moved, change, message):
    with pytest.raises(UserError, match=message):
        certifuse.load(moved.directory).probabilities(change(moved.images))


def test_a_shape_that_does_not_tell_channels_from_rows_is_refused(moved):
    network = certifuse.load(moved.directory)
    network.facts = network.facts.model_copy(update={"shape": (3, 3, 3)})
    with pytest.raises(UserError, match=r"^images: expected a shape that tells channels from rows, found 3 x 3 x 3$"):
        network.probabilities(np.zeros((2, 3, 3, 3), np.uint8))


def changed(source, target, **about):
    """A component that says something else of itself."""
    component = load_component(source)
    own = {name: value for name, value in (read_header(source)["about"] | about).items() if value is not None}
    save_component(target, component.spec, component.tensors, **own)
    return target


def test_a_component_that_does_not_say_how_images_are_normalised_is_refused(tiny, tmp_path):
    path = changed(tiny.experts[0], tmp_path / "expert.safetensors", images=None)
    with pytest.raises(UserError, match=r"expert.safetensors: expected a component that says how images are"):
        certifuse.load(path)


def test_facts_that_are_none_are_refused(tiny, tmp_path):
    facts = read_header(tiny.experts[0])["about"]["images"]
    path = changed(tiny.experts[0], tmp_path / "expert.safetensors", images=facts | {"std": [0.0]})
    with pytest.raises(UserError, match=r"expert.safetensors: images: std.0: "):
        certifuse.load(path)


def test_parts_of_two_data_sets_are_refused(moved, tmp_path):
    directory = tmp_path / "mixed"
    shutil.copytree(moved.directory, directory)
    expert = sorted((directory / "experts").glob("*.safetensors"))[1]
    facts = read_header(expert)["about"]["images"]
    changed(expert, expert, images=facts | {"mean": [0.25]})
    with pytest.raises(UserError, match=r"expected the images of .*expert_0.*, found others: name parts of"):
        certifuse.load(directory)


def test_a_fusion_module_alone_is_refused(moved):
    with pytest.raises(UserError, match=r"expected an expert or a complete network, found fusion: name a run"):
        certifuse.load(find_components(moved.directory).fusion)


def test_names_that_are_none_are_no_attributes():
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        certifuse.lode  # noqa: B018
