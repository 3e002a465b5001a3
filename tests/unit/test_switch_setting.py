"""What is asked of a switch, before anything is sent to it."""

from pathlib import Path

import pytest

from aibench_lib.errors import SpecError
from aibench_lib.platforms import load_platform, platform_names
from aibench_lib.switch.setting import parse_setting
from aibench_lib.switch.target import Target

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "switch"
OPTIONS = {
    "arista_eos": {"queue": "3", "qos_profile": "ROCE"},
    "nokia_srlinux": {
        "queue": "q3",
        "qos_profile": "rocev2",
        "interfaces": ["ethernet-1/1", "ethernet-1/2"],
    },
}
POINTS = {
    "step": {"ecn_threshold_bytes": 100_000},
    "slope": {"kmin_bytes": 500_000, "kmax_bytes": 5_000_000, "probability_percent": 20},
}


def target(platform: str = "arista_eos", **options: object) -> Target:
    return Target(
        host="leaf1",
        address="192.0.2.1",
        platform=platform,
        username="admin",
        password="secret",
        options=options or OPTIONS[platform],
    )


def test_every_platform_has_its_golden_files():
    assert {path.name for path in GOLDEN.iterdir()} == set(platform_names()) == set(OPTIONS)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("platform", OPTIONS)
def test_a_template_renders_its_golden_file(platform, point):
    for feature in load_platform(platform).features:
        setting = parse_setting(target(platform), feature, POINTS[point])
        golden = GOLDEN / platform / f"{feature}_{point}.txt"
        assert setting.rendered(setting.requested) == golden.read_text()


def test_a_step_is_marked_with_certainty_from_one_threshold_on():
    setting = parse_setting(target(), "ecn", {"ecn_threshold_bytes": 1_000_000})
    asked = {name: setting.requested[name] for name in ("kmin_bytes", "kmax_bytes", "probability_percent")}
    assert asked == {"kmin_bytes": 1_000_000, "kmax_bytes": 1_000_000, "probability_percent": 100}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (
            {"ecn_threshold_bytes": 300_000_000},
            r"not attainable: kmin_bytes and kmax_bytes 300000000 > max 256000000 bytes on arista_eos",
        ),
        (
            {"ecn_threshold_bytes": 0},
            r"not attainable: kmin_bytes and kmax_bytes 0 < min 1 bytes on arista_eos \(leaf1; limits of the",
        ),
        ({"kmin_bytes": 1, "kmax_bytes": 2, "probability_percent": 101}, "probability_percent 101 > max 100 percent"),
        ({"kmin_bytes": 2, "kmax_bytes": 1, "probability_percent": 1}, "kmin_bytes 2 > kmax_bytes 1"),
        ({"kmin_bytes": 1, "kmax_bytes": 2}, r"ecn\.probability_percent: missing"),
        ({"ecn_threshold_bytes": 1, "kmax_bytes": 2}, "give ecn_threshold_bytes, or kmax_bytes, not both"),
        ({"ecn_threshold_bytes": "100 KB"}, r"ecn\.ecn_threshold_bytes: '100 KB' is not a whole number"),
        ({"ecn_threshold_bytes": True}, "True is not a whole number"),
        ({"ecn_threshold_bytes": 1.5}, "1.5 is not a whole number"),
        (
            {"kmin_bytes": 1, "kmax_bytes": 2, "probability_percent": 1, "weight": 0},
            r"ecn\.weight: unknown value; arista_eos takes kmin_bytes, kmax_bytes, probability_percent",
        ),
        ({}, r"ecn\.kmin_bytes: missing"),
    ],
)
def test_values_that_a_switch_cannot_take_are_refused_with_the_reason(values, complaint):
    with pytest.raises(SpecError, match=complaint):
        parse_setting(target(), "ecn", values)


def test_every_value_that_is_not_attainable_is_named():
    values = {"kmin_bytes": 1, "kmax_bytes": 300_000_000, "probability_percent": 101}
    with pytest.raises(SpecError, match=r"kmax_bytes 300000000 > .*; probability_percent 101 > "):
        parse_setting(target(), "ecn", values)


def test_an_option_that_the_template_needs_is_asked_for():
    with pytest.raises(SpecError, match=r"leaf1: switch\.qos_profile: missing; ecn needs the `qos profile`"):
        parse_setting(target(queue="3"), "ecn", {"ecn_threshold_bytes": 1})


def test_a_variable_that_a_template_does_not_get_is_an_error_and_not_an_empty_word():
    setting = parse_setting(target(), "ecn", {"ecn_threshold_bytes": 1})
    with pytest.raises(SpecError, match=r"templates/arista_eos/ecn\.j2: 'kmin_bytes' is undefined"):
        setting.rendered({})
