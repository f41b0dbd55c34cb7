"""`certifuse crate`: the packed study by value, and against what RO-Crate and its profiles require."""

import copy
import errno
import hashlib
import json
import sys
import zipfile
from datetime import date
from string import Formatter
from urllib.parse import unquote

import pytest
import yaml
from recorded_results import (
    CELL,
    CELL_DIR,
    COMMIT,
    COMPLETE,
    DIFFERENCE,
    EXPERTS,
    FIGURE,
    IMAGES,
    PEAK_MEMORY_BYTES,
    SCRIPTS,
    SPLITS,
    TRAINING_WALL_S,
)
from rocrate.rocrate import ROCrate

from certifuse.base.fingerprint import LIBRARY, source_fingerprint
from certifuse.cli.crate.checks import _names_in
from certifuse.cli.provenance.runs import Run
from certifuse.study import tasks
from certifuse.study.steps.registry import STEPS

WORKFLOW_TYPES = {"File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"}
# Terms of the context of RO-Crate 1.1 that are used, and the two that the crate itself defines.
TERMS = {
    *("@id", "@type", "about", "actionStatus", "author", "conformsTo", "contentSize", "datePublished", "description"),
    *("encodingFormat", "endTime", "hasPart", "identifier", "instrument", "license", "mainEntity", "mentions", "name"),
    *("object", "programmingLanguage", "propertyID", "result", "softwareRequirements", "softwareVersion", "startTime"),
    *("step", "unitCode", "url", "value", "version", "workExample", "resourceUsage", "sha256"),
}


@pytest.fixture
def pack(certifuse, results):
    """Packs the study: (graph by identifier, bytes of the files by name)."""

    def run(name="crate.zip", *options):
        output = results.workdir / "out" / name
        code, out, err = certifuse("crate", results.root, "--configfile", results.config, "--output", output, *options)
        assert (code, err) == (0, "")
        assert out.endswith("files, 8 runs\n")
        with zipfile.ZipFile(output) as archive:
            files = {entry: archive.read(entry) for entry in archive.namelist() if not entry.endswith("/")}
        return json.loads(files["ro-crate-metadata.json"]), files

    return run


def many(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def linked(entity, key):
    return [link["@id"] for link in many(entity.get(key))]


def by_id(crate):
    found = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(found) == len(crate["@graph"]), "an identifier twice"
    return found


# ---- what the specifications require -------------------------------------------------------------


def check_base(crate, files):
    """RO-Crate 1.1: flat JSON-LD, descriptor, root, data entities that exist and are parts of the root."""
    graph = by_id(crate)
    for entity in graph.values():
        assert entity["@type"]
        assert set(entity) <= TERMS, set(entity) - TERMS
        assert not any(len(value) == 1 for value in entity.values() if isinstance(value, list)), "a list of one"
        for value in (one for values in entity.values() for one in many(values)):
            assert not isinstance(value, dict) or set(value) == {"@id"}, "nested"
            if isinstance(value, dict) and not value["@id"].startswith("http"):
                assert value["@id"] in graph, f"{value['@id']} is linked and absent"
    descriptor, root = graph["ro-crate-metadata.json"], graph["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert linked(descriptor, "about") == ["./"]
    assert "https://w3id.org/ro/crate/1.1" in linked(descriptor, "conformsTo")
    assert root["@type"] == "Dataset"
    assert root["name"]
    assert root["description"]
    date.fromisoformat(root["datePublished"])
    assert [graph[name]["@type"] for name in linked(root, "license")] == ["CreativeWork"]
    data = {name for name, entity in graph.items() if {"File", "Dataset"} & set(many(entity["@type"]))} - {"./"}
    assert sorted(linked(root, "hasPart")) == sorted(data)
    for name in data:
        if graph[name]["@type"] == "Dataset":
            assert name.endswith("/")
            assert all(part.startswith(name) for part in linked(graph[name], "hasPart"))
        else:
            content = files[unquote(name)]
            assert graph[name]["contentSize"] == str(len(content))
            assert graph[name]["sha256"] == hashlib.sha256(content).hexdigest()
    assert {unquote(name) for name in data if not name.endswith("/")} == set(files) - {"ro-crate-metadata.json"}


def check_profiles(crate):
    """Workflow RO-Crate 1.0, and Process, Workflow and Provenance Run Crate 0.5."""
    graph = by_id(crate)
    root, types = graph["./"], {name: set(many(entity["@type"])) for name, entity in graph.items()}
    for name in ("process", "workflow", "provenance"):
        assert types[f"https://w3id.org/ro/wfrun/{name}/0.5"] == {"CreativeWork"}
        assert f"https://w3id.org/ro/wfrun/{name}/0.5" in linked(root, "conformsTo")
    [main] = linked(root, "mainEntity")
    workflow = graph[main]
    assert types[main] == WORKFLOW_TYPES
    assert [types[name] for name in linked(workflow, "programmingLanguage")] == [{"ComputerLanguage"}]
    of = {kind: [one for one in graph.values() if one["@type"] == kind] for kind in ("CreateAction", "ControlAction")}
    instruments = {name for action in of["CreateAction"] for name in linked(action, "instrument")}
    for action in of["CreateAction"]:
        assert all(types[name] & {"SoftwareSourceCode", "SoftwareApplication"} for name in linked(action, "instrument"))
        assert linked(action, "instrument")
        assert action["@id"] in linked(root, "mentions")
        assert all("propertyID" in graph[name] for name in linked(action, "resourceUsage"))
    assert main in instruments
    assert set(linked(workflow, "hasPart")) <= instruments
    steps = {name for name, entity in graph.items() if entity["@type"] == "HowToStep"}
    assert steps == set(linked(workflow, "step"))
    assert all(set(linked(graph[step], "workExample")) <= set(linked(workflow, "hasPart")) for step in steps)
    assert all(linked(graph[step], "workExample") for step in steps)
    for control in of["ControlAction"]:
        assert set(linked(control, "instrument")) <= steps
        assert [graph[name]["@type"] for name in linked(control, "object")] == ["CreateAction"]
    [organised] = [entity for entity in graph.values() if entity["@type"] == "OrganizeAction"]
    assert set(linked(organised, "object")) == {control["@id"] for control in of["ControlAction"]}
    assert [types[name] for name in linked(organised, "instrument")] == [{"SoftwareApplication"}]
    assert [linked(graph[name], "instrument") for name in linked(organised, "result")] == [[main]]


def check_all(crate, files):
    check_base(crate, files)
    check_profiles(crate)


def test_it_is_what_the_specifications_require(pack):
    check_all(*pack())


def without(name, key):
    return lambda graph: graph[name].pop(key)


@pytest.mark.parametrize(
    "damage",
    [
        without("./", "license"),
        without("./", "datePublished"),
        without("./", "mainEntity"),
        without("./", "conformsTo"),
        without("ro-crate-metadata.json", "about"),
        without("Snakefile", "programmingLanguage"),
        without("#step/gather", "workExample"),
        without("#organisation", "object"),
        without(f"#run/{CELL_DIR}/manifest.json", "instrument"),
        lambda graph: graph["./"]["hasPart"].remove({"@id": f"results/{FIGURE}"}),
        lambda graph: graph["results/figures/"].update(hasPart={"@id": "Snakefile"}),
        lambda graph: graph[f"results/{FIGURE}"].update(sha256="0" * 64),
        lambda graph: graph[f"results/{FIGURE}"].update(contentSize="1"),
        lambda graph: graph["./"]["hasPart"].append({"@id": "absent.txt"}),
        lambda graph: graph["./"].update(author={"@id": "#me", "name": "nested"}),
        lambda graph: graph["Snakefile"].update({"@type": "File"}),
    ],
)
def test_the_check_sees_what_is_wrong(pack, damage):
    crate, files = pack()
    damaged = copy.deepcopy(crate)
    damage(by_id(damaged))
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check_all(damaged, files)


# ---- by value ------------------------------------------------------------------------------------


def test_a_run_says_what_it_read_wrote_and_took(pack, results):
    graph = by_id(pack()[0])
    action = graph[f"#run/{CELL_DIR}/manifest.json"]
    step = results.step_of("train_fusion", CELL)
    settings = step.text
    key = f"#settings/{hashlib.sha256(settings.encode()).hexdigest()[:16]}"
    images = f"#absent/results/{IMAGES}/{results.digest(IMAGES)}"
    assert linked(action, "instrument") == ["workflow/scripts/train_fusion.py"]
    files = {images, *(f"results/{path}" for path in (SPLITS, *EXPERTS))}
    assert {name for name in linked(action, "object") if name == images or not name.startswith("#")} == files
    assert key in linked(action, "object")
    assert graph[key]["value"] == settings
    assert graph[images]["sha256"] == results.digest(IMAGES)
    fingerprint = source_fingerprint(SCRIPTS / "train_fusion.py", step.modules())
    assert graph[f"#source/{fingerprint}"]["value"] == fingerprint
    assert f"#source/{fingerprint}" in linked(action, "object")
    commit = f"#commit/{COMMIT}/{DIFFERENCE}"
    assert commit in linked(action, "object")
    assert json.loads(graph[commit]["value"])["dirty"] is True
    assert {f"results/{COMPLETE}", f"results/{CELL_DIR}/manifest.json"} <= set(linked(action, "result"))
    usage = {graph[name]["propertyID"]: graph[name]["value"] for name in linked(action, "resourceUsage")}
    assert usage == {"wall_s": str(TRAINING_WALL_S), "peak_memory_bytes": str(PEAK_MEMORY_BYTES)}
    packages = {
        graph[name]["name"]: graph[name]["softwareVersion"]
        for name in linked(graph["Snakefile"], "softwareRequirements")
    }
    assert packages == {"python": "3.11.7", "torch": "2.13.0", "snakemake": "9.27.1"}


def test_the_figure_can_be_followed_to_the_images(pack):
    graph = by_id(pack()[0])
    made_by = {}
    for action in graph.values():
        if action["@type"] == "CreateAction" and action["@id"] != "#execution":
            made_by |= dict.fromkeys(linked(action, "result"), action)
    path, steps = f"results/{FIGURE}", []
    while path in made_by:
        action = made_by[path]
        steps.append(action["name"].partition(" ")[0])
        read = [name for name in linked(action, "object") if name in made_by]
        path = min(read, key=lambda name: ("images" in name, "splits" in name), default=None)
    assert steps == [
        *("draw_figure/lambda_ablation", "gather", "evaluate_fusion", "train_fusion"),
        *("pretrain_expert", "split_images", "prepare_images"),
    ]


def test_what_is_packed_and_what_is_not(pack):
    _, files = pack()
    names = set(files)
    assert {
        "Snakefile",
        "LICENSE",
        "study/config.yaml",
        "lib/certifuse/cli/crate/study_crate.py",
        f"results/{COMPLETE}",
    } <= names
    assert not any("epochs" in name or "__pycache__" in name or name.endswith("images.safetensors") for name in names)
    crate, bare = pack("bare.zip", "--without-weights")
    gone = {f"results/{path}" for path in (COMPLETE, *EXPERTS)}
    assert names - set(bare) == gone
    check_base(crate, bare)
    crate, full = pack("full.zip", "--with-data")
    assert set(full) - names == {f"results/{IMAGES}"}
    check_base(crate, full)


def test_a_directory_has_the_files_of_the_archive(pack, certifuse, results):
    _, files = pack()
    directory = results.workdir / "plain"
    code, _, _ = certifuse("crate", results.root, "--configfile", results.config, "--output", directory)
    assert code == 0
    below = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in below.items()} == files
    assert {path.name for path in results.workdir.iterdir()} == {"config.yaml", "results", ".snakemake", "out", "plain"}
    assert [path.name for path in (results.workdir / "out").iterdir()] == ["crate.zip"]


def test_names_that_no_uri_may_hold_are_written_as_one(pack, results):
    results.config = results.config.rename(results.workdir / "my study.yaml")
    results.write("figures/100% #1.png")
    crate, files = pack()
    assert {"study/my study.yaml", "results/figures/100% #1.png"} <= set(files)
    assert {"study/my%20study.yaml", "results/figures/100%25%20%231.png"} <= set(by_id(crate))
    check_all(crate, files)


def test_the_public_library_reads_it(pack, results):
    pack("crate.zip")
    crate = ROCrate(results.workdir / "out" / "crate.zip")
    assert crate.mainEntity.id == "Snakefile"
    assert crate.name == "Certifuse study tiny"
    assert crate.get(f"#run/{CELL_DIR}/manifest.json")["instrument"].id == "workflow/scripts/train_fusion.py"


def test_a_run_of_other_source_names_another_script(pack, results):
    results.edit(f"{CELL_DIR}/manifest.json", source_fingerprint="0123456789abcdef")
    crate, files = pack()
    graph = by_id(crate)
    assert linked(graph[f"#run/{CELL_DIR}/manifest.json"], "instrument") == ["#script/train_fusion.py/0123456789abcdef"]
    assert graph["#script/train_fusion.py/0123456789abcdef"]["@type"] == "SoftwareSourceCode"
    check_all(crate, files)


# ---- what is refused -----------------------------------------------------------------------------


def test_results_that_are_not_what_they_say_are_refused(refused, results):
    def crate():
        return refused("crate", results.root, "--configfile", results.config, "--output", results.workdir / "c.zip")

    config = yaml.safe_load(results.config.read_text())
    results.config.write_text(yaml.safe_dump(config | {"fusion": {"augmentation": "none", "epochs": 7}}))
    assert "training.epochs is 7 there and was" in crate()
    results.config.write_text(yaml.safe_dump(config))
    content = (results.root / COMPLETE).read_text()
    results.write(COMPLETE, "edited")
    assert f"{COMPLETE}: changed since train_fusion (architecture=resnet" in crate()
    results.write(COMPLETE, content)
    results.write(SPLITS, "drawn again")
    results.edit("splits/manifest.json", outputs_sha256={"splits.safetensors": results.digest(SPLITS)})
    assert "read another one than split_images wrote: run snakemake again" in crate()
    assert not (results.workdir / "c.zip").exists()


def test_results_from_before_there_was_a_setting_are_refused_by_its_name(refused, results):
    settings = results.step_of("train_fusion", CELL).plain()
    assert settings["training"].pop("early_stopping_patience", 0) is None
    results.edit(f"{CELL_DIR}/manifest.json", settings=settings)
    said = refused("crate", results.root, "--configfile", results.config, "--output", results.workdir / "c.zip")
    assert "training.early_stopping_patience is null there and was absent in train_fusion" in said


def test_runs_that_snakemake_alone_knows_are_compared_too(pack, refused, results):
    action = by_id(pack()[0])["#run/Snakemake%27s%20record%20of%20draw_figure/lambda_ablation"]
    assert linked(action, "instrument") == ["workflow/scripts/draw_figure.py"]
    config = yaml.safe_load(results.config.read_text())
    results.config.write_text(yaml.safe_dump(config | {"figures": {"lambda_ablation": {"dpi": 300}}}))
    said = refused("crate", results.root, "--configfile", results.config, "--output", results.workdir / "c.zip")
    assert "style.dpi is 300 there and was 200 in draw_figure/lambda_ablation" in said


@pytest.mark.parametrize("rule", STEPS)
def test_the_name_of_a_job_tells_its_wildcards(rule):
    known = {"architecture": "improved_wide_resnet", "fusion": "TransformerBase", "lambda": "0.5", "seed": "0"}
    known |= {"member": "single_wider", "d": "8", "mode": "learned_random", "levels": "3", "ngram": "bigram"}
    template = getattr(tasks, rule.upper(), rule)
    names = {
        name: known.get(name, "sublora/pareto_frontier_d8") for _, name, _, _ in Formatter().parse(template) if name
    }
    assert _names_in(Run(rule, "its record", job=template.format(**names))) == names


def test_an_installed_library_packs_the_checkout_that_it_is_called_in(pack, refused, results, monkeypatch, tmp_path):
    _, files = pack()
    installed = tmp_path / "site-packages" / "certifuse"
    installed.parent.mkdir()
    installed.symlink_to(LIBRARY)
    monkeypatch.setattr("certifuse.cli.crate.contents.LIBRARY", installed)
    monkeypatch.chdir(SCRIPTS.parents[1])
    assert pack("installed.zip")[1].keys() == files.keys()
    monkeypatch.chdir(tmp_path)
    said = refused("crate", results.root, "--configfile", results.config, "--output", results.workdir / "c.zip")
    assert f"{tmp_path}: expected the sources of the workflow (Snakefile, CITATION.cff), found none" in said


def test_runs_that_the_configuration_has_not_are_refused(refused, results):
    cell = CELL | {"fusion": "myRule"}
    results.edit(f"{CELL_DIR}/manifest.json", identity=cell)
    said = refused("crate", results.root, "--configfile", results.config, "--output", results.workdir / "c.zip")
    assert "found one without train_fusion (architecture=resnet fusion=myRule lambda=0.5 seed=0)" in said


def test_results_of_an_older_version_are_refused(refused, results):
    results.outdate(f"{CELL_DIR}/manifest.json")
    said = refused("crate", results.root, "--configfile", results.config, "--output", results.workdir / "c.zip")
    assert f"{CELL_DIR}/manifest.json: made by an older version: rerun the steps, or use that version\n" in said


def test_without_the_library_the_extra_is_named(refused, results, monkeypatch):
    for name in [
        name for name in sys.modules if name.split(".")[0] == "rocrate" or name.startswith("certifuse.cli.crate.")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rocrate", None)
    said = refused("crate", results.root, "--configfile", results.config, "--output", results.workdir / "c.zip")
    assert said == "error: the crate needs rocrate; in the checkout: pip install --editable '.[crate]'\n"


def test_a_full_disk_leaves_nothing(refused, results, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("certifuse.cli.crate.study_crate.shutil.copyfile", fail)
    output = results.workdir / "out" / "c.zip"
    said = refused("crate", results.root, "--configfile", results.config, "--output", output)
    assert f"{output}: cannot be written" in said
    assert list(output.parent.iterdir()) == []


def test_wrong_places_are_refused(refused, results, tmp_path):
    (tmp_path / "empty").mkdir()
    output = ("--configfile", results.config, "--output", tmp_path / "c.zip")
    assert "found no run" in refused("crate", tmp_path / "empty", *output)
    assert "found none" in refused("crate", tmp_path / "absent", *output)
    (tmp_path / "c.zip").touch()
    assert "expected a new crate" in refused("crate", results.root, *output)
