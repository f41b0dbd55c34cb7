"""Components that are missing or of another run, through every script that reads them: one line, and a status.

The recipes are called as the scripts call them; `main` of one script is run to see the line and the status.
"""

import re

import pytest
from step_commands import step_command

from certifuse.base.errors import UserError
from certifuse.cli.main import main
from certifuse.models.components.files import load_component, read_header, save_component
from certifuse.steps.certify_joint import certify_joint
from certifuse.steps.evaluate_baselines import evaluate_baselines
from certifuse.steps.evaluate_fusion import evaluate_fusion
from certifuse.study.cells import Cell, Family
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.steps.certificates import CertifyJoint
from certifuse.study.steps.training import EvaluateBaselines, EvaluateFusion

CELL = Cell("resnet", "concatenation", "1.0", 0)


def absent(path):
    path.unlink()


def of_another_seed(path):
    component = load_component(path)
    save_component(path, component.spec, component.tensors, **read_header(path)["about"] | {"seed": 5})


def of_another_study(path):
    component = load_component(path)
    save_component(path, component.spec, component.tensors, **read_header(path)["about"] | {"splits_sha256": "0" * 64})


def of_other_classes(path):
    """Made elsewhere: it says nothing of the data that it was trained with, but of its sizes."""
    component = load_component(path)
    head = {name: tensor[:3] if name.startswith("head.") else tensor for name, tensor in component.tensors.items()}
    save_component(path, component.spec | {"num_classes": 3}, head, member="expert_0")


def of_another_architecture(path):
    component = load_component(path)
    other = {"name": "densenet", "growth": 4, "blocks": [1, 1], "bottleneck": 2, "compression": 0.5, "dropout": 0.0}
    about = read_header(path)["about"]
    about |= {"architecture": "densenet"} if "architecture" in about else {}
    save_component(path, component.spec | {"architecture": other}, component.tensors, **about)


SWAPS = {
    absent: r"found no file|expected a file, found none|expects 2 experts .* found 1 |beside .* found another file",
    of_another_seed: r"expected a component of seed 0, found 5|expected SHA-256",
    of_another_study: r"expected a component of splits_sha256 \w{64}, found 0{64}|expected SHA-256",
    of_other_classes: r"expected a component of num_classes 4, found 3|expected SHA-256",
    of_another_architecture: r"architecture resnet, found densenet|tensor .*: expected shape|expected SHA-256",
}


def said(work):
    with pytest.raises(UserError) as raised:
        work()
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.fixture
def study(certified, tmp_path):
    """A copy of a certified study, and the first of its pre-trained and of its jointly trained experts."""
    copy = certified.copy(tmp_path / "study")
    directory = tmp_path / "study" / "trained" / "cell"
    return copy, directory, sorted((directory / "experts").glob("*.safetensors"))[0]


def evaluation(study):
    return {"evaluation": EvaluationSettings(), "execution": study.step().execution}


def data(study):
    return {"images": study.tiny.images, "splits": study.tiny.splits, "source": "test"}


def trained(study, directory, where):
    study.tiny.train(where, epochs=1)


def certified_in_a_subspace(study, directory, where):
    study.certify(where)


def compared(study, directory, where):
    step = EvaluateBaselines(cell=Family("resnet", 0), **evaluation(study))
    evaluate_baselines(step, EvaluateBaselines.Files(**data(study), experts=study.tiny.experts, output=where))


def scoring(study, directory, where):
    """Settings and files of the scoring of a cell."""
    files = EvaluateFusion.Files(**data(study), components=directory, output=where)
    return EvaluateFusion(cell=CELL, **evaluation(study)), files


def scored(study, directory, where):
    evaluate_fusion(*scoring(study, directory, where))


def certified_jointly(study, directory, where):
    step = CertifyJoint(cell=CELL, delta=0.1, levels=9, threads=1)
    certify_joint(step, study.joint_files(directory, where))


@pytest.mark.parametrize("swap", SWAPS, ids=lambda swap: swap.__name__)
@pytest.mark.parametrize("use", [trained, certified_in_a_subspace, compared, scored, certified_jointly])
def test_every_step_refuses_it_in_one_line(study, tmp_path, use, swap):
    copy, directory, joint = study
    of_the_cell = use in (scored, certified_jointly)
    swap(joint if of_the_cell else copy.tiny.experts[0])
    line = said(lambda: use(copy, directory, tmp_path / "out"))
    assert re.search(SWAPS[swap], line), line
    assert not list((tmp_path / "out").rglob("*.csv"))
    assert not list((tmp_path / "out").rglob("*.json"))


def test_experts_of_this_run_are_accepted(study, tmp_path):
    copy, directory, _ = study
    scored(copy, directory, tmp_path / "scored")
    compared(copy, directory, tmp_path / "compared")
    trained(copy, directory, tmp_path / "trained")


@pytest.mark.parametrize("swap", [absent, of_other_classes, of_another_architecture], ids=lambda swap: swap.__name__)
def test_the_components_tool_refuses_it(study, tmp_path, swap, capsys):
    _, directory, joint = study
    swap(joint)
    status = main(["components", "reconstruct", str(directory), "--output", str(tmp_path / "whole.safetensors")])
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "whole.safetensors").exists()


def test_a_script_ends_with_one_line_and_a_status(study, tmp_path, start):
    copy, directory, joint = study
    of_another_study(joint)
    process = start(step_command(*scoring(copy, directory, tmp_path / "out")))
    line = process.communicate(timeout=180)[1]
    assert process.returncode == 2
    assert line.count("\n") == 1
    assert f"error: {joint}: expected a component of splits_sha256" in line
    assert not (tmp_path / "out").exists()
