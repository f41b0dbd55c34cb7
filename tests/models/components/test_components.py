"""Component files: what they say of themselves, how they fit together, and what is refused."""

import hashlib
import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from certifuse.base.errors import UserError
from certifuse.data.images.image_set import channel_statistics
from certifuse.models.components.assembly import (
    build_fusion_module,
    expert_spec,
    find_components,
    fusion_spec,
    in_order,
    load_complete,
    load_network,
    network_specs,
    save_complete,
)
from certifuse.models.components.belonging import check_belonging
from certifuse.models.components.files import NotAComponentError, load_component, read_header, save_component
from certifuse.models.images.architectures.registry import build_architecture
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.steps.train_fusion import initial_network
from certifuse.study.cells import Cell
from certifuse.study.settings.architectures import ARCHITECTURE_SETTINGS, ResNetSettings
from certifuse.study.settings.fusion import FUSIONS, FusionModuleSettings, FusionSettings

CLASSES = 3
HEAD = {"kind": "global_head", "input_dim": 2, "num_classes": 3}
SMALL = {
    "resnet": {"width": 4, "blocks": [1, 1]},
    "densenet": {"growth": 4, "blocks": [1, 1], "bottleneck": 2},
    "improved_wide_resnet": {"depth": 10, "widen_factor": 1},
    "resnext": {"blocks": [1, 1], "cardinality": 2, "base_width": 2, "width": 4, "expansion": 2},
    "speednet": {"widths": [4, 8], "kernels": [1, 3]},
}


def images():
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network_of(fusion="concatenation", experts=2, width=4, classes=CLASSES, module=None):
    torch.manual_seed(experts + width)
    settings = ResNetSettings(width=width, blocks=(1, 1))
    members = [build_architecture("resnet", settings, classes) for _ in range(experts)]
    built = fusion and build_fusion_module(fusion, experts, members[0].feature_dim, module or FusionModuleSettings())
    return FusedNetwork(members, built or None, classes).eval()


def write(directory, fusion="concatenation", module=None, width=4, classes=CLASSES, **choices):
    """The components of a random network below `directory`, and the network."""
    network = network_of(fusion, width=width, classes=classes, module=module, **choices)
    spec = expert_spec({"name": "resnet", "width": width, "blocks": [1, 1]}, classes, 3)
    specs = network_specs(network, spec, fusion, module or FusionModuleSettings())
    states = {part: dict(member.state_dict()) for part, member in network.component_modules().items()}
    for part, own in specs.items():
        folder = {"fusion": "fusion", "global_head": "global"}.get(part, "experts")
        save_component(directory / folder / f"{part}_best.safetensors", own, states[part], epoch=3)
    save_complete(directory / "complete.safetensors", specs, states, epoch=3)
    return network


def logits(network):
    with torch.inference_mode():
        return network.eval()(images()).global_logits_NK


# ---- what is written is read ---------------------------------------------------------------------


@pytest.mark.parametrize("fusion", [*FUSIONS, None])
def test_a_network_is_put_together_from_its_files(tmp_path, fusion):
    network = write(tmp_path, fusion)
    whole, parts = load_complete(tmp_path / "complete.safetensors"), load_network(*find_components(tmp_path))
    assert torch.equal(logits(parts), logits(network))
    assert torch.equal(logits(whole), logits(network))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_shape_of_the_fusion_module_is_remembered(tmp_path, fusion):
    module = FusionModuleSettings(
        input_dim=6, hidden_dim=5, dropout=0.4, attention_heads=3, cross_expert_attention=False
    )
    network = write(tmp_path, fusion, module)
    assert torch.equal(logits(load_network(*find_components(tmp_path))), logits(network))


@pytest.mark.parametrize("architecture", ARCHITECTURE_SETTINGS)
def test_an_expert_of_every_architecture_is_put_together_from_its_file(tmp_path, architecture):
    settings = ARCHITECTURE_SETTINGS[architecture].from_json(json.dumps(SMALL[architecture]))
    expert = build_architecture(architecture, settings, CLASSES, 3).eval()
    pixels = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    expert.fit_to_pool(pixels, *channel_statistics(pixels))
    spec = expert_spec({"name": architecture, **settings.plain()}, CLASSES, 3)
    save_component(tmp_path / "expert.safetensors", spec, expert.state_dict())
    loaded = load_network([tmp_path / "expert.safetensors"], None, None).experts[0].eval()
    assert torch.equal(loaded(images()).logits_NK, expert(images()).logits_NK)


def test_eleven_experts_keep_their_order(tmp_path):
    """`expert_10` comes after `expert_2`, in directories and in complete files."""
    network = write(tmp_path, experts=11)
    assert torch.equal(logits(load_network(*find_components(tmp_path))), logits(network))
    assert torch.equal(logits(load_complete(tmp_path / "complete.safetensors")), logits(network))
    assert in_order(["expert_10", "expert_2", "expert_1"]) == ["expert_1", "expert_2", "expert_10"]


def test_the_memory_layout_is_no_part_of_a_file(tmp_path):
    state = network_of().experts[0].state_dict()
    spec = expert_spec({"name": "resnet", **SMALL["resnet"]}, CLASSES, 3)
    save_component(tmp_path / "plain.safetensors", spec, state)
    turned = {n: t.to(memory_format=torch.channels_last) if t.dim() == 4 else t for n, t in state.items()}
    save_component(tmp_path / "turned.safetensors", spec, turned)
    assert (tmp_path / "plain.safetensors").read_bytes() == (tmp_path / "turned.safetensors").read_bytes()


def test_the_header_says_what_it_is(tmp_path):
    write(tmp_path)
    header = read_header(tmp_path / "fusion" / "fusion_best.safetensors")
    assert header["about"] == {"epoch": 3}
    assert header["spec"] == fusion_spec("concatenation", 2, 8, FusionModuleSettings())
    assert header["spec"]["module"] == FusionModuleSettings().plain()
    assert read_header(tmp_path / "global" / "global_head_best.safetensors")["spec"] == {
        "kind": "global_head",
        "input_dim": 8,
        "num_classes": CLASSES,
    }


def test_components_of_different_runs_go_together_where_their_sizes_fit(tmp_path):
    first, second = write(tmp_path / "first"), write(tmp_path / "second", "simpleAddition")
    one, two = find_components(tmp_path / "first"), find_components(tmp_path / "second")
    mixed = load_network([two.experts[0], one.experts[1]], two.fusion, two.global_head)
    with torch.inference_mode():
        output, original, other = mixed.eval()(images()), first(images()), second(images())
    assert torch.equal(output.expert_logits_ENK[0], other.expert_logits_ENK[0])
    assert torch.equal(output.expert_logits_ENK[1], original.expert_logits_ENK[1])


# ---- what does not fit is refused ----------------------------------------------------------------


def refused(pattern, *parts):
    with pytest.raises(UserError, match=pattern):
        load_network(*parts)


def test_experts_of_another_number_or_size_than_the_fusion_module_expects(tmp_path):
    write(tmp_path / "narrow")
    write(tmp_path / "wide", width=6)
    narrow, wide = find_components(tmp_path / "narrow"), find_components(tmp_path / "wide")
    expected = r"expects 2 experts with features of size 8, found 2 with size 12 "
    refused(expected, wide.experts, narrow.fusion, narrow.global_head)
    refused(r"expects 2 experts .*size 8, found 1 with size 8", narrow.experts[:1], narrow.fusion, narrow.global_head)
    refused(r"\(8, 3, 3\) as in .*, found \(12, 3, 3\)", [narrow.experts[0], wide.experts[1]], None, None)


def test_a_head_of_another_size(tmp_path):
    write(tmp_path / "three")
    write(tmp_path / "five", classes=5)
    write(tmp_path / "wide", width=6)
    three, five, wide = (find_components(tmp_path / name) for name in ("three", "five", "wide"))
    refused(r"size 8 and 5 classes, found 8 .* and 3 ", three.experts, three.fusion, five.global_head)
    refused(r"size 12 and 3 classes, found 8 .* and 3 ", three.experts, three.fusion, wide.global_head)
    refused("expected a global head to go with this fusion module, found none", three.experts, three.fusion, None)


def test_a_component_in_the_place_of_another(tmp_path):
    write(tmp_path)
    experts, fusion, head = find_components(tmp_path)
    refused("expected a component of kind fusion, found global_head", experts, head, head)
    refused("expected a component of kind expert, found fusion", [fusion], None, None)
    refused("expected at least one expert, found none", [], fusion, head)
    with pytest.raises(UserError, match="expected a component of kind complete, found expert"):
        load_complete(experts[0])


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path):
    spec = expert_spec({"name": "resnet", "width": 4, "blocks": [1, 1]}, CLASSES, 3)
    state = dict(network_of(width=6).experts[0].state_dict())
    save_component(tmp_path / "expert.safetensors", spec, state)
    with pytest.raises(UserError, match=r"tensor head\.weight: expected shape \(3, 8\), found \(3, 12\)"):
        load_network([tmp_path / "expert.safetensors"], None, None)
    del state["head.weight"]
    save_component(tmp_path / "expert.safetensors", spec, state)
    with pytest.raises(UserError, match=r"tensor head\.weight: expected shape \(3, 8\), found None"):
        load_network([tmp_path / "expert.safetensors"], None, None)


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"name": "resnett"}, "expected one of densenet, .* found 'resnett'; did you mean 'resnet'"),
        ({"width": 0}, r"architecture resnet: width: .*found 0"),
        ({"depth": 3}, r"architecture resnet: depth: unknown key"),
    ],
)
def test_a_specification_that_no_version_wrote(tmp_path, change, pattern):
    spec = expert_spec({"name": "resnet", "width": 4, "blocks": [1, 1]} | change, CLASSES, 3)
    save_component(tmp_path / "expert.safetensors", spec, {"weight": torch.zeros(1)})
    with pytest.raises(UserError, match=pattern):
        load_network([tmp_path / "expert.safetensors"], None, None)


# ---- what is damaged is refused ------------------------------------------------------------------


def test_what_is_no_component(tmp_path):
    with pytest.raises(UserError, match="found no file"):
        load_component(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    with pytest.raises(UserError, match="found a damaged file"):
        load_component(tmp_path / "text.safetensors")
    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(NotAComponentError, match="without its metadata"):
        load_component(tmp_path / "other.safetensors")
    header = json.dumps({"format": 2, "spec": {"kind": "expert"}, "about": {}})
    save_file({"weight": torch.zeros(1)}, tmp_path / "later.safetensors", {"certifuse": header})
    with pytest.raises(UserError, match="expected the metadata of a component of format 1"):
        load_component(tmp_path / "later.safetensors")


def test_every_truncation_and_every_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "head.safetensors"
    save_component(
        path, {"kind": "global_head", "input_dim": 2, "num_classes": 3}, {"weight": torch.rand(3, 2)}, epoch=1
    )
    whole, expected = path.read_bytes(), load_file(path)
    for size in range(0, len(whole), max(1, len(whole) // 64)):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError):
            load_component(path)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(bytes(damaged))
        try:
            found = load_component(path)
        except UserError:
            continue
        assert torch.equal(found.tensors["weight"], expected["weight"])  # a space behind the header means nothing
        assert found.spec == {"kind": "global_head", "input_dim": 2, "num_classes": 3}


def test_bfloat16_is_a_component_too(tmp_path):
    weight = torch.rand(3, 2).to(torch.bfloat16)
    save_component(tmp_path / "head.safetensors", HEAD, {"weight": weight})
    read = load_component(tmp_path / "head.safetensors").tensors["weight"]
    assert read.dtype == torch.bfloat16
    assert torch.equal(read, weight)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_network_of_another_precision_is_the_network_of_its_values(tmp_path, dtype):
    """Every part is read into single precision exactly, or as float64 rounds to it; a training goes on from it."""
    write(tmp_path / "single")
    for path in (tmp_path / "single").rglob("*.safetensors"):
        component, about = load_component(path), read_header(path)["about"]
        real = {name: tensor for name, tensor in component.tensors.items() if tensor.is_floating_point()}
        other = {name: tensor.to(dtype) for name, tensor in real.items()}
        rounded = {name: tensor.float() for name, tensor in other.items()}
        relative = path.relative_to(tmp_path / "single")
        save_component(tmp_path / "other" / relative, component.spec, component.tensors | other, **about)
        save_component(tmp_path / "rounded" / relative, component.spec, component.tensors | rounded, **about)
    found, expected = (find_components(tmp_path / name) for name in ("other", "rounded"))
    assert torch.equal(logits(load_network(*found)), logits(load_network(*expected)))
    read = [logits(load_complete(tmp_path / name / "complete.safetensors")) for name in ("other", "rounded")]
    assert torch.equal(*read)
    assert torch.equal(read[0], logits(load_network(*found)))
    training, cell = FusionSettings().resolved("concatenation"), Cell("resnet", "concatenation", "1.0", 0)
    continued, _ = initial_network(training, cell, found)
    assert all(parameter.dtype == torch.float32 for parameter in continued.parameters())
    assert torch.equal(logits(continued), read[0])


def test_numbers_of_another_kind_are_named(tmp_path):
    spec = expert_spec({"name": "resnet", "width": 4, "blocks": [1, 1]}, CLASSES, 3)
    state = dict(network_of().experts[0].state_dict())
    for dtype, found in {torch.int32: "whole numbers", torch.complex64: "complex numbers"}.items():
        save_component(tmp_path / "expert.safetensors", spec, state | {"head.bias": torch.zeros(CLASSES, dtype=dtype)})
        with pytest.raises(UserError, match=rf"tensor head\.bias: expected real numbers, found {found}"):
            load_network([tmp_path / "expert.safetensors"], None, None)


# ---- the open form, of older versions and of other programs --------------------------------------


def write_open(path, weight, **changes):
    """As older versions wrote it: the digest is of header and tensors together."""
    header = {"format": 1, "spec": HEAD, "about": {"epoch": 1}}
    weight_sha256 = hashlib.sha256(b"torch.float32[3, 2]\n" + weight.numpy().tobytes()).hexdigest()
    text = json.dumps([header, {"weight": weight_sha256}], sort_keys=True, separators=(",", ":"))
    header |= {"sha256": hashlib.sha256(text.encode()).hexdigest()} | changes
    save_file({"weight": weight}, path, {"certifuse": json.dumps({k: v for k, v in header.items() if v is not None})})


@pytest.mark.parametrize("digest", [{}, {"sha256": None}])
def test_the_open_form_is_read_with_its_digest_or_without(tmp_path, digest):
    path, weight = tmp_path / "head.safetensors", torch.rand(3, 2)
    write_open(path, weight, **digest)
    component = load_component(path)
    assert component.spec == HEAD
    assert torch.equal(component.tensors["weight"], weight)
    assert read_header(path) == {"format": 1, "spec": HEAD, "about": {"epoch": 1}}


ABOUT = {"lam": "0.5", "seed": 1, "parts": {"expert_0": {"lam": "0.5"}}}


def test_labels_of_the_open_form_are_read_as_they_are_called_now(tmp_path):
    write_open(tmp_path / "head.safetensors", torch.rand(3, 2), about=ABOUT, sha256=None)
    about = {"lambda": "0.5", "seed": 1, "parts": {"expert_0": {"lambda": "0.5"}}}
    assert read_header(tmp_path / "head.safetensors")["about"] == about
    with pytest.raises(UserError, match=r"expected a component of lambda 1\.0, found 0\.5"):
        check_belonging([tmp_path / "head.safetensors"], {"lambda": "1.0", "seed": 1})


@pytest.mark.parametrize("change", [{"about": {"epoch": 2}}, {"spec": HEAD | {"num_classes": 4}}, {"sha256": "0" * 64}])
def test_an_open_form_that_its_digest_contradicts_is_refused(tmp_path, change):
    write_open(tmp_path / "head.safetensors", torch.rand(3, 2), **change)
    with pytest.raises(UserError, match=r"found a damaged file \(its digest differs\)"):
        load_component(tmp_path / "head.safetensors")


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"about": None}, {"spec": {}}, {"more": 1}, {"about": {"x": math.nan}}]
)
def test_an_open_form_with_another_header_is_refused(tmp_path, change):
    write_open(tmp_path / "head.safetensors", torch.rand(3, 2), **change)
    with pytest.raises(UserError, match="expected the metadata of a component of format 1"):
        read_header(tmp_path / "head.safetensors")


# ---- directories ---------------------------------------------------------------------------------


def test_a_directory_without_components_or_with_too_many(tmp_path):
    with pytest.raises(UserError, match="expected components below experts/, fusion/ and global/, found none"):
        find_components(tmp_path)
    write(tmp_path)
    second = tmp_path / "fusion" / "second.safetensors"
    second.write_bytes((tmp_path / "fusion" / "fusion_best.safetensors").read_bytes())
    with pytest.raises(UserError, match="fusion: expected one file, found 2: name the one to use"):
        find_components(tmp_path)
