"""Fusion training as a recipe: its files, the best epoch, continued training, and what it refuses."""

import json
import shutil

import pytest
import torch
from step_commands import step_arguments

from certifuse.base.digests import digest_file
from certifuse.base.errors import USER_ERROR_STATUS, UserError
from certifuse.base.manifest import path_from
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.models.components.assembly import build_expert, expert_spec, find_components, load_complete, load_network
from certifuse.models.components.files import load_component, read_header, save_component
from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.device_images import on_device
from certifuse.models.compute.inference import accuracy_percent, fused_logits_of, nll_nats
from certifuse.steps.command import run_step
from certifuse.steps.train_fusion import train_fusion
from certifuse.study import paths
from certifuse.study.steps.training import TrainFusion

COLUMNS = (
    "epoch",
    "train_loss",
    "val_loss",
    "val_accuracy",
    "loss_global",
    "loss_individual",
    "loss_distillation",
    "loss_total",
    "experts_lr",
    "fusion_lr",
    "global_head_lr",
    "experts_gradient_norm",
    "fusion_gradient_norm",
    "global_head_gradient_norm",
    "path_gradient_cosine",
    "expert_0_accuracy",
    "expert_0_loss",
    "expert_1_accuracy",
    "expert_1_loss",
    "lambda",
    "fusion_type",
    "model_architecture",
)
"""The columns of the guides, but for `seconds` and `images_per_second`."""


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """A run of ten epochs, whose best is not its last, with components of every third."""
    return tiny.train(tmp_path_factory.mktemp("trained"), epochs=10, save_every=3)


def validated(run, network):
    """(accuracy in percent, loss, accuracy of each expert) of a network on the validation images of a run."""
    runtime = runtimes.start(run.step.execution)
    images, splits = load_image_set(run.files.images), load_splits(run.files.splits)
    runtime.place(network)
    fused, experts = fused_logits_of(network, on_device(images, splits, runtime), splits.validation, runtime)
    labels = images.train_labels[splits.validation]
    return accuracy_percent(fused[None], labels)[0], nll_nats(fused[None], labels)[0], accuracy_percent(experts, labels)


def row_of(run, epoch):
    return run.rows[epoch - 1]


def assert_is_row(run, network, row):
    accuracy, loss, experts = validated(run, network)
    assert float(accuracy) == float(row["val_accuracy"])
    assert float(loss) == float(row["val_loss"])
    assert experts.tolist() == [float(row["expert_0_accuracy"]), float(row["expert_1_accuracy"])]


def test_the_files_are_those_of_the_contract(trained):
    fields = trained.cell.names()
    parts = [paths.FUSION_FILE, paths.HEAD_FILE, paths.cell_expert(0), paths.cell_expert(1)]
    names = {paths.COMPLETE_FILE, *(part.format(**fields) for part in parts)}
    kept = {f"epochs/epoch_{epoch}/{name}" for epoch in (3, 6, 9) for name in names}
    assert set(trained.components) == names | kept
    assert not trained.files.resume_dir.exists()
    assert not trained.files.telemetry_dir.exists()


def test_the_log_has_the_columns_of_the_guides_and_a_row_per_epoch(trained):
    assert set(trained.rows[0]) == set(COLUMNS)
    assert [row["epoch"] for row in trained.rows] == [str(epoch) for epoch in range(1, 11)]
    assert trained.rows[0]["lambda"] == "1.0"
    assert trained.rows[0]["fusion_type"] == "concatenation"


def test_the_best_components_reassemble_into_the_model_that_was_chosen(trained):
    """Selection by accuracy, then loss; exactly its validation results, fused and of each expert."""
    rank = [(float(row["val_accuracy"]), -float(row["val_loss"])) for row in trained.rows]
    best = rank.index(max(rank)) + 1
    assert trained.manifest["epoch"] == best != 10
    assert_is_row(trained, load_network(*find_components(trained.directory)), row_of(trained, best))


@pytest.mark.parametrize("epoch", [3, 6, 9])
def test_the_components_of_an_epoch_reassemble_into_the_model_of_that_epoch(trained, epoch):
    found = find_components(trained.directory / "epochs" / f"epoch_{epoch}")
    assert_is_row(trained, load_network(*found), row_of(trained, epoch))


def test_the_best_components_are_of_one_epoch(trained):
    found = find_components(trained.directory)
    epochs = {read_header(path)["about"]["epoch"] for path in (*found.experts, found.fusion, found.global_head)}
    assert epochs == {trained.manifest["epoch"]}


def test_the_complete_file_is_its_parts(trained):
    whole = load_complete(trained.directory / paths.COMPLETE_FILE).state_dict()
    parts = load_network(*find_components(trained.directory)).state_dict()
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], tensor) for name, tensor in parts.items())


def test_the_manifest_can_be_checked(trained):
    manifest = trained.manifest
    files = trained.files
    best = {name for name in trained.components if not name.startswith("epochs/")}
    assert manifest["outputs_sha256"] == {name: digest_file(trained.directory / name) for name in (*best, "../log.csv")}
    assert manifest["inputs_sha256"] == {
        path_from(trained.directory, path): digest_file(path) for path in (files.images, files.splits, *files.experts)
    }
    assert manifest["initial_components"] == []
    assert manifest["data_sha256"] == {
        "images": [digest_file(trained.files.images)],
        "splits": [digest_file(trained.files.splits)],
    }
    assert manifest["started"] < manifest["finished"]
    assert manifest["settings"] == trained.step.plain()
    assert (manifest["step"], manifest["source_fingerprint"]) == ("train_fusion", "test")
    assert manifest["runtime"]["precision"] == "fp32"
    assert manifest["identity"] == {"architecture": "resnet", "fusion": "concatenation", "lambda": "1.0", "seed": 0}
    assert manifest["epochs_run"] == 10
    assert manifest["resumed_after_epochs"] == []
    assert manifest["peak_memory_bytes"] > 1e6
    assert manifest["parameters"] == sum(
        p.numel() for p in load_network(*find_components(trained.directory)).parameters()
    )


def test_it_learns(trained):
    losses = [float(row["loss_global"]) for row in trained.rows]
    assert losses[-1] < 0.9 * losses[0]


def test_the_test_images_are_never_looked_at(tiny, tmp_path, monkeypatch, trained):
    """Other test images, same run: every byte of the components is the same."""
    images = load_image_set(tiny.images)
    changed = type(images)(
        images.train_images, images.train_labels, 255 - images.test_images, images.test_labels, 4, images.name
    )
    monkeypatch.setattr("certifuse.steps.train_fusion.load_image_set", lambda path: changed)
    again = tiny.train(tmp_path, epochs=10, save_every=3)
    assert again.components == trained.components


def test_two_runs_are_equal_to_the_bit_and_another_seed_differs(tiny, tmp_path, trained):
    again = tiny.train(tmp_path / "again", epochs=10, save_every=3)
    assert again.components == trained.components
    assert again.rows == trained.rows
    other = tiny.train(tmp_path / "other", epochs=10, save_every=3, seed=1)
    same = [name for name in other.components if other.components[name] == trained.components.get(name)]
    assert same == []
    assert other.rows[0] != trained.rows[0]


def test_experts_alone_are_fine_tuned(tiny, tmp_path):
    run = tiny.train(tmp_path, fusion=None)
    expected = {paths.finetuned_expert(index).format(architecture="resnet") for index in (0, 1)}
    assert set(run.components) == {*expected, paths.COMPLETE_FILE}
    assert_is_row(run, load_network(*find_components(run.directory)), row_of(run, run.manifest["epoch"]))
    header = read_header(run.directory / min(expected))
    assert header["about"]["origin"] == "fine-tuned"
    for index, before in enumerate(run.files.experts):
        after = load_component(find_components(run.directory).experts[index]).tensors
        assert not torch.equal(after["head.weight"], load_component(before).tensors["head.weight"])


# ---- continued training --------------------------------------------------------------------------


def first_row(tiny, where, **changes):
    """The row of one epoch at a vanishing rate: what the run started from."""
    still = {"epochs": 1, "expert_lr": 1e-30, "fusion_lr": 1e-30, "weight_decay": 0.0}
    return tiny.train(where, **still | changes)


def test_training_continues_from_earlier_components(tiny, tmp_path, trained):
    earlier = trained.directory / "epochs" / "epoch_6"
    run = first_row(tiny, tmp_path, initial_components=str(earlier))
    states = (
        load_network(*find_components(earlier)).state_dict(),
        load_network(*find_components(run.directory)).state_dict(),
    )
    for name, tensor in states[0].items():  # all but the running statistics, which a forward pass moves
        if "running" not in name and "tracked" not in name:
            assert torch.equal(tensor, states[1][name]), name
    found = find_components(earlier)
    digests = sorted(digest_file(path) for path in (*found.experts, found.fusion, found.global_head))
    assert run.manifest["initial_components"] == digests
    assert set(run.manifest["inputs_sha256"].values()) >= set(digests)


def test_the_directory_may_be_named_by_cell(tiny, tmp_path, trained):
    target = tmp_path / "resnet" / "concatenation" / "1.0" / "0"
    target.parent.mkdir(parents=True)
    target.symlink_to(trained.directory)
    template = f"{tmp_path}/{{architecture}}/{{fusion}}/{{lambda}}/{{seed}}"
    assert first_row(tiny, tmp_path / "run", initial_components=template).manifest["initial_components"]


def test_fine_tuned_experts_get_a_fresh_fusion_module(tiny, tmp_path):
    tuned = tiny.train(tmp_path / "tuned", fusion=None)
    run = first_row(tiny, tmp_path / "run", initial_components=str(tuned.directory))
    before, after = (load_component(find_components(x.directory).experts[0]).tensors for x in (tuned, run))
    assert torch.equal(before["head.weight"], after["head.weight"])
    assert find_components(run.directory).fusion is not None


def test_experts_of_another_size_are_stored_as_what_they_are(tiny, tmp_path):
    """Earlier experts may differ from the pre-trained ones, in number too; their own files describe the components."""
    deep, wide = ({"name": "resnet"} | size for size in ({"width": 6, "blocks": [1, 1]}, {"width": 12, "blocks": [1]}))
    earlier = write_experts(tmp_path / "earlier", deep, deep, wide)  # 12 features each
    run = first_row(tiny, tmp_path / "run", initial_components=str(earlier))
    found = find_components(run.directory)
    assert [read_header(path)["spec"]["architecture"] for path in found.experts] == [deep, deep, wide]
    accuracy, _, _ = validated(run, load_network(*found))
    assert float(accuracy) == float(run.rows[0]["val_accuracy"])


def write_experts(directory, *sizes):
    for index, own in enumerate(sizes):
        spec = expert_spec(own, 4, 1)
        save_component(directory / "experts" / f"expert_{index}.safetensors", spec, build_expert(spec).state_dict())
    return directory


def test_the_settings_describe_the_fusion_module_also_of_earlier_components(tiny, tmp_path, trained):
    run = first_row(tiny, tmp_path, initial_components=str(trained.directory), dropout=0.7)
    header = read_header(find_components(run.directory).fusion)
    assert header["spec"]["module"]["dropout"] == 0.7


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"hidden_dim": 5}, r"tensor mlp\.0\.bias: expected shape \(5,\), found \(8,\)"),
        ({"fusion": "simpleAddition"}, "expected a fusion module of rule simpleAddition, found concatenation"),
        ({"fusion": "TransformerBase"}, "expected a fusion module of rule TransformerBase, found concatenation"),
    ],
)
def test_earlier_components_that_do_not_fit_are_refused(tiny, tmp_path, trained, changes, pattern):
    with pytest.raises(UserError, match=pattern):
        first_row(tiny, tmp_path, initial_components=str(trained.directory), **changes)


@pytest.mark.parametrize("name", ["images_sha256", "splits_sha256"])
def test_earlier_components_of_other_images_or_splits_are_refused(tiny, tmp_path, trained, name):
    """Such experts may have been trained on what are validation or test images here."""
    shutil.copytree(trained.directory, tmp_path / "earlier")
    path = find_components(tmp_path / "earlier").experts[1]
    component = load_component(path)
    save_component(path, component.spec, component.tensors, **read_header(path)["about"] | {name: "0" * 64})
    with pytest.raises(UserError, match=rf"{path.name}: expected a component of {name} "):
        first_row(tiny, tmp_path / "run", initial_components=str(tmp_path / "earlier"))


# ---- what is refused -----------------------------------------------------------------------------


def test_experts_of_another_architecture_are_refused(tiny, tmp_path):
    sizes = {"name": "densenet", "growth": 4, "blocks": [1, 1], "bottleneck": 2, "compression": 0.5, "dropout": 0.0}
    experts = find_components(write_experts(tmp_path / "other", sizes, sizes)).experts
    with pytest.raises(UserError, match="expected an expert of architecture resnet, found densenet"):
        tiny.train(tmp_path / "run", files={"experts": tuple(experts)})


@pytest.mark.parametrize("change", [{"lambda": "none"}, {"lambda": None}, {"seed": None}, {"seed": "zero"}], ids=str)
def test_names_that_are_no_cell_are_refused(tiny, tmp_path, caplog, change):
    run = tiny.prepare(tmp_path)
    settings = json.loads(run.step.text) | {"cell": run.cell.names() | change}
    arguments = step_arguments(run.step, run.files)[3:]
    with pytest.raises(SystemExit, match=str(USER_ERROR_STATUS)):
        run_step(TrainFusion, lambda *_: pytest.fail("it ran"), ["--settings", json.dumps(settings), *arguments])
    names = run.cell.names() | change
    assert caplog.messages == [f"error: --settings: cell: expected the names of a Cell, found {names}"]


def test_cuda_that_is_not_there_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    execution = tiny.fusion_step().execution.model_copy(update={"device": "cuda"})
    with pytest.raises(UserError, match=r"execution\.device: expected a CUDA device"):
        tiny.train(tmp_path, execution=execution)


def test_a_run_that_diverges_says_where_and_writes_no_components(tiny, tmp_path):
    run = tiny.prepare(tmp_path, expert_lr=1e30, fusion_lr=1e30, optimizer="sgd", expert_clip_norm=None)
    with pytest.raises(
        UserError, match=r"the \w+( gradient)? is not finite in epoch \d+, step \d+ \(seed \d+\): lower"
    ):
        train_fusion(run.step, run.files)
    assert not list(run.directory.rglob("*.safetensors"))
    assert not run.files.manifest.exists()


def test_stored_epochs_of_an_earlier_run_go(tiny, tmp_path):
    tiny.train(tmp_path, epochs=3, save_every=1)
    again = tiny.train(tmp_path, epochs=2, save_every=2)
    assert sorted(path.name for path in (again.directory / "epochs").iterdir()) == ["epoch_2"]


def test_a_second_runner_does_not_touch_the_epochs_of_the_first(tiny, tmp_path, monkeypatch):
    run = tiny.train(tmp_path, epochs=2, save_every=1)

    def held(*arguments):
        raise BlockingIOError

    monkeypatch.setattr("fcntl.lockf", held)
    with pytest.raises(UserError, match=r"another process is already training resnet-concatenation-1\.0-0"):
        tiny.train(tmp_path, epochs=2, save_every=1)
    assert sorted(path.name for path in (run.directory / "epochs").iterdir()) == ["epoch_1", "epoch_2"]


def test_settings_are_canonical_json(trained):
    """What the rule hands over is read back as the same settings."""
    text = trained.step.text
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert TrainFusion.from_json(text) == trained.step
