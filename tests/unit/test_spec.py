from dataclasses import dataclass

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.spec import build, load_yaml


@dataclass(frozen=True)
class Knob:
    threshold_bytes: int
    enabled: bool = True


def test_known_keys_become_a_record():
    assert build(Knob, {"threshold_bytes": 100_000}, "knobs.yml: a") == Knob(100_000, True)


def test_a_misspelt_key_names_file_key_and_the_nearest_known_one():
    with pytest.raises(SpecError) as caught:
        build(Knob, {"treshold_bytes": 1}, "knobs.yml: a")
    assert str(caught.value) == "knobs.yml: a.treshold_bytes: unknown key; did you mean 'threshold_bytes'?"


def test_a_missing_key_is_named():
    with pytest.raises(SpecError, match=r"knobs\.yml: a\.threshold_bytes: missing"):
        build(Knob, {"enabled": False}, "knobs.yml: a")


def test_a_list_where_keys_belong_is_refused():
    with pytest.raises(SpecError, match="expected keys and values, found list"):
        build(Knob, [1], "knobs.yml: a")


def test_a_file_that_is_not_yaml_is_one_line(tmp_path):
    path = tmp_path / "bad.yml"
    path.write_text("a: [1,\nb: }")
    with pytest.raises(SpecError) as caught:
        load_yaml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match="no such file"):
        load_yaml(tmp_path / "none.yml")
