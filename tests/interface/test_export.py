"""`certifuse export`: the program in the file gives the stored predictions, of images as they are."""

import json

import numpy as np
import pytest
import torch

from certifuse.cli.main import main
from certifuse.interface import export as exporting
from certifuse.models.components.assembly import find_components
from certifuse.study import paths


def test_the_torch_program_gives_the_stored_predictions(moved, tmp_path):
    target = tmp_path / "network.pt2"
    assert main(["export", str(moved.directory), "--to", "torch", "--output", str(target)]) == 0
    facts = {exporting.FACTS_KEY: ""}
    program = torch.export.load(target, extra_files=facts)
    found = program.module()(torch.from_numpy(moved.images)).detach().numpy()
    np.testing.assert_allclose(found, moved.stored["fused/logits"].softmax(-1).numpy(), rtol=0, atol=1e-5)
    said = json.loads(facts[exporting.FACTS_KEY])
    assert said["class_names"] == ["0", "1", "2", "3"]
    assert said["fusion"] == "concatenation"
    assert len(said["splits_sha256"]) == len(said["images_sha256"]) == 64


def test_the_onnx_program_gives_the_stored_predictions(moved, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime onnxscript")
    target = tmp_path / "network.onnx"
    assert main(["export", str(moved.directory / paths.COMPLETE_FILE), "--to", "onnx", "--output", str(target)]) == 0
    session = runtime.InferenceSession(target, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: moved.images})
    np.testing.assert_allclose(found, moved.stored["fused/logits"].softmax(-1).numpy(), rtol=0, atol=1e-5)
    assert "class_names" in json.loads(session.get_modelmeta().custom_metadata_map[exporting.FACTS_KEY])


def test_onnx_without_its_packages_is_refused_in_a_line(moved, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    target = tmp_path / "network.onnx"
    assert main(["export", str(moved.directory), "--to", "onnx", "--output", str(target)]) == 2
    assert capsys.readouterr().err == (
        "error: export --to onnx: expected the package onnx, found none: pip install onnx onnxruntime onnxscript\n"
    )
    assert not target.exists()


def test_a_program_that_says_something_else_is_not_written(moved, tmp_path, monkeypatch, capsys):
    """The control of the comparison: a program without normalisation."""
    monkeypatch.setitem(exporting.FORMS, "torch", lambda classifier, facts: (b"", raw_program(classifier)))
    target = tmp_path / "network.pt2"
    assert main(["export", str(moved.directory), "--to", "torch", "--output", str(target)]) == 2
    assert "expected the torch program to give the network's probabilities to 1e-05" in capsys.readouterr().err
    assert not target.exists()


def raw_program(classifier):
    def program(images):
        with torch.inference_mode():
            return classifier.network(images / 255).global_logits_NK.softmax(-1).numpy()

    return program


def test_files_that_are_there_and_parts_alone_are_refused(moved, tmp_path, capsys):
    target = tmp_path / "network.pt2"
    target.write_bytes(b"mine")
    assert main(["export", str(moved.directory), "--to", "torch", "--output", str(target)]) == 2
    fusion = find_components(moved.directory).fusion
    assert main(["export", str(fusion), "--to", "torch", "--output", str(tmp_path / "new.pt2")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("network.pt2: expected a new file, found one: choose another name or delete it")
    assert "expected an expert or a complete network, found fusion" in second
    assert target.read_bytes() == b"mine"
