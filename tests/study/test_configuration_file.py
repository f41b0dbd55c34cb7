"""A configuration file that cannot be read: one line with the file, what was expected, what was found, and where."""

import time
from pathlib import Path

import pytest

from certifuse.base.errors import UserError
from certifuse.study.reading.configuration_file import read_configuration
from certifuse.study.study import read_study

REFUSED = {
    "no YAML": (b"name: [a\n b: }\n", "expected YAML, found while parsing a flow .*line 2, column [0-9]+"),
    "a tab": (b"data:\n\tsource: digits\n", "expected YAML, found .*line 2, column 1"),
    "a Python object": (b"name: !!python/object:os.system {}\n", "expected YAML, found could not determine a constr"),
    "no UTF-8": (b"name: \xff\n", "expected YAML, found 'utf-8' codec can't decode byte 0xff in position 6"),
    "a date that is none": (b"name: 2026-13-41\n", "expected YAML, found month must be in 1"),
    "a number too long": (b"name: " + b"9" * 5000, "expected YAML, found Exceeds the limit"),
    "nothing": (b"", "expected a mapping of settings, found nothing"),
    "a comment alone": (b"# later\n", "expected a mapping of settings, found nothing"),
    "a list": (b"- name: a\n", "expected a mapping of settings, found list"),
    "a text": (b"digits", "expected a mapping of settings, found str"),
    "a key twice": (b"name: a\nname: b\n", "line 2: name: expected each key once, found it on line 1 too"),
    "a key twice, inside": (
        b"grid:\n  - seeds: [0]\n    lambdas: []\n    seeds: [1]\n",
        r"line 4: grid\.0\.seeds: expected each key once, found it on line 2 too",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_configuration_is_one_line(tmp_path: Path, name: str) -> None:
    content, line = REFUSED[name]
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{path}: {line}[^\n]*$"):
        read_configuration(path)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^[^\n]*: expected a configuration, found none \([^\n]*\): see config/$"):
        read_configuration(tmp_path / "study.yaml")
    with pytest.raises(UserError, match=rf"^{tmp_path}: expected a regular file, found a directory[^\n]*$"):
        read_configuration(tmp_path)


def test_nesting_beyond_what_yaml_reads_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("name: " + "[" * 3000, encoding="utf-8")
    with pytest.raises(UserError, match=r"^[^\n]*: expected YAML, found [^\n]*$"):
        read_configuration(tmp_path / "study.yaml")


LAUGHS = {
    "sequences": "a0: &a0 [x, y]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)),
    "mappings": "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}\n" for n in range(1, 40)),
    "merges": "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40)),
    "itself": "name: &a [*a, *a, *a]\n",
    "as a key": "? &a [*a]\n: 1\n",
}


@pytest.mark.parametrize("name", LAUGHS)
def test_aliases_that_multiply_are_counted_before_they_are_followed(tmp_path: Path, name: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(LAUGHS[name], encoding="utf-8")
    began_s = time.process_time()
    with pytest.raises(UserError, match=rf"^{path}: expected YAML, found [^\n]*(values where|contains itself)[^\n]*$"):
        read_configuration(path)
    with pytest.raises(UserError, match="expected a mapping"):
        read_study({"name": "a", "fusion": LAUGHS[name]}, {"fusion": LAUGHS[name]})  # from the command line
    assert time.process_time() - began_s < 5


def test_a_configuration_of_a_megabyte_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("a: [" + "1," * 500_000 + "]", encoding="utf-8")
    with pytest.raises(UserError, match=r"^[^\n]*: expected a file of at most 262144 bytes, found one of 1000005: "):
        read_configuration(tmp_path / "study.yaml")


def test_equal_keys_of_different_mappings_are_none_twice(tmp_path: Path) -> None:
    text = "a: &common {seed: 1, name: x}\nb: {seed: 2}\nc: *common\nd: [{seed: 1}, {seed: 1}]\n"
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    found = read_configuration(tmp_path / "study.yaml")
    assert found == {"a": {"seed": 1, "name": "x"}, "b": {"seed": 2}, "c": found["a"], "d": [{"seed": 1}, {"seed": 1}]}


TABBED = '{\n\t"name": "a",\n\t"fusion": {\n\t\t"epochs": 3\n\t}\n}\n'


@pytest.mark.parametrize("name", ["study.json", "study.yaml"])
def test_json_may_be_indented_by_tabs(tmp_path: Path, name: str) -> None:
    """Snakemake reads JSON whatever the file is called."""
    (tmp_path / name).write_text(TABBED, encoding="utf-8")
    assert read_configuration(tmp_path / name) == {"name": "a", "fusion": {"epochs": 3}}


REFUSED_JSON = {
    "a key twice": (TABBED.replace("name", "fusion"), "fusion: expected each key once, found it more than once"),
    "a key twice, inside": ('{"grid": [{"seeds": [0], "seeds": [1]}]}', r"grid\.0\.seeds: expected each key once, .*"),
    "a comma too many": (TABBED.replace("3", "3,"), "expected JSON, found .*line 5 column 2.*"),
    "nesting without end": ("[" * 100_000, "expected JSON, found more nesting than can be read"),
}


@pytest.mark.parametrize("name", REFUSED_JSON)
def test_what_is_no_configuration_in_json_is_one_line(tmp_path: Path, name: str) -> None:
    text, line = REFUSED_JSON[name]
    path = tmp_path / "study.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"^{path}: {line}$"):
        read_configuration(path)
