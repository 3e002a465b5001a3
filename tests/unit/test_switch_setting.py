"""What is asked of a switch, before anything is sent to it."""

from pathlib import Path

import pytest

from aibench_lib.errors import NotAttainable, SpecError
from aibench_lib.platforms import load_platform, platform_names
from aibench_lib.spec import load_yaml
from aibench_lib.switch.setting import parse_setting
from aibench_lib.switch.target import Target

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "switch"
POINTS = {path.parent.name: load_yaml(path) for path in sorted(GOLDEN.glob("*/points.yml"))}
"""Platform -> the options of a switch, and what is asked of it, by the name of the file that it renders."""
RENDERED = [(platform, point) for platform, asked in POINTS.items() for point in asked["points"]]


def target(platform: str = "arista_eos", **options: object) -> Target:
    return Target(
        host="leaf1",
        address="192.0.2.1",
        platform=platform,
        username="admin",
        password="secret",
        options=options or POINTS[platform]["options"],
    )


def routes(platform: str) -> list[dict[str, str]]:
    return POINTS[platform]["points"]["routing_detour_static"]["values"]["routes"]


@pytest.mark.parametrize("platform", platform_names())
def test_every_feature_of_a_platform_has_its_golden_files(platform):
    asked = POINTS[platform]["points"]
    assert {point["feature"] for point in asked.values()} == set(load_platform(platform).features)
    assert {path.stem for path in (GOLDEN / platform).glob("*.txt")} == set(asked)


@pytest.mark.parametrize(("platform", "point"), RENDERED)
def test_a_template_renders_its_golden_file(platform, point):
    asked = POINTS[platform]["points"][point]
    options = {**POINTS[platform]["options"], **asked.get("options", {})}
    setting = parse_setting(target(platform, **options), asked["feature"], asked["values"])
    assert setting.rendered(setting.requested) == (GOLDEN / platform / f"{point}.txt").read_text()


@pytest.mark.parametrize("disciplines", [[], ["netem"]])
def test_a_kernel_without_red_has_no_ecn(disciplines):
    switch = target("frr_linux", interfaces=["eth1"], disciplines=disciplines)
    with pytest.raises(NotAttainable, match=r"not attainable: ECN not available in this kernel \(on frr_linux \(leaf1"):
        parse_setting(switch, "ecn", {"ecn_threshold_bytes": 100_000})


def test_a_feature_that_only_other_platforms_have_is_not_attainable_and_a_misspelt_one_is_wrong():
    switch = target("frr_linux", interfaces=["eth1"])
    with pytest.raises(NotAttainable, match=r"not attainable: FRR on Linux \(leaf1\) has no pfc"):
        parse_setting(switch, "pfc", {"pfc_threshold_bytes": 1})
    with pytest.raises(SpecError, match="feature 'pcf': FRR on Linux has ecn") as wrong:
        parse_setting(switch, "pcf", {"pfc_threshold_bytes": 1})
    assert not isinstance(wrong.value, NotAttainable)


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


@pytest.mark.parametrize("platform", ["dell_sonic", "sonic"])
def test_values_of_which_the_switch_has_one_at_a_time_are_not_attainable_together(platform):
    values = {"pfc_threshold_bytes": 100_000, "alpha": "1/8"}
    with pytest.raises(
        NotAttainable, match=r"pfc_threshold_bytes and alpha at once on \w+ \(leaf1; the switch has one"
    ):
        parse_setting(target(platform), "pfc", values)
    for name, value in values.items():
        assert parse_setting(target(platform), "pfc", {name: value}).requested[name] == value


def test_a_value_that_stands_in_two_places_is_expected_in_both():
    asked = parse_setting(target("dell_sonic"), "hash_fields", {"hash_fields": "l3"}).requested
    assert asked["destination_port"] == "l3"


def test_an_option_that_the_template_needs_is_asked_for():
    with pytest.raises(SpecError, match=r"leaf1: switch\.qos_profile: missing; ecn needs the `qos profile`"):
        parse_setting(target(queue="3"), "ecn", {"ecn_threshold_bytes": 1})


def test_a_variable_that_a_template_does_not_get_is_an_error_and_not_an_empty_word():
    setting = parse_setting(target(), "ecn", {"ecn_threshold_bytes": 1})
    with pytest.raises(SpecError, match=r"templates/arista_eos/ecn\.j2: 'kmin_bytes' is undefined"):
        setting.rendered({})


def requested(feature, values, platform="arista_eos"):
    return parse_setting(target(platform), feature, values).requested


@pytest.mark.parametrize(
    ("platform", "feature", "values", "complaint"),
    [
        (
            "arista_eos",
            "load_balancing",
            {"load_balancing": "packet_spray"},
            r"not attainable: load_balancing 'packet_spray' is not one of ecmp, flowlet on arista_eos \(leaf1; the",
        ),
        (
            "nokia_srlinux",
            "load_balancing",
            {"load_balancing": "flowlet"},
            r"not attainable: load_balancing 'flowlet' is not one of ecmp on nokia_srlinux \(leaf1; the models have",
        ),
        (
            "arista_eos",
            "pfc_watchdog",
            {"watchdog": "on", "detection_ms": 205, "recovery_ms": 70_000},
            r"detection_ms 205 is no multiple of 10 ms on .*; recovery_ms 70000 > max 60000 ms on arista_eos",
        ),
        (
            "nokia_srlinux",
            "pfc_watchdog",
            {"watchdog": "on", "detection_ms": 2000, "recovery_ms": 50},
            r"detection_ms 2000 > max 1500 ms on nokia_srlinux .*; recovery_ms 50 < min 100 ms",
        ),
        ("nokia_srlinux", "pfc", {"pfc_threshold_bytes": 0}, "pfc_threshold_bytes 0 < min 1 bytes on nokia_srlinux"),
        ("arista_eos", "ecn", {"ecn_threshold_bytes": 0}, "kmin_bytes and kmax_bytes 0 < min 1 bytes"),
    ],
)
def test_what_a_platform_lacks_is_told_apart_from_what_is_wrong(platform, feature, values, complaint):
    with pytest.raises(NotAttainable, match=complaint):
        requested(feature, values, platform)


@pytest.mark.parametrize(
    ("feature", "values", "complaint"),
    [
        ("pfc", {}, r"pfc\.pfc_threshold_bytes: missing; give one or more of pfc_threshold_bytes"),
        ("load_balancing", {"load_balancing": "flowlets"}, "'flowlets' is not one of ecmp, flowlet, packet_spray"),
        ("pfc_watchdog", {"detection_ms": 200}, r"pfc_watchdog\.watchdog: missing; give on \(with detection_ms"),
        ("pfc_watchdog", {"watchdog": "on", "detection_ms": 200}, r"pfc_watchdog\.recovery_ms: missing"),
        ("pfc_watchdog", {"watchdog": "off", "detection_ms": 200}, "a watchdog that is off has no timers"),
        ("pfc_watchdog", {"watchdog": "sometimes"}, "'sometimes' is not one of on, off"),
        ("routing_detour", {"routes": []}, r"routing_detour\.routes: give a list of routes"),
        ("routing_detour", {"routes": [{"prefix": "10.1.0.1/32"}]}, r"routes\[0\]: a route has prefix, next_hop"),
    ],
)
def test_values_that_mean_nothing_are_wrong_on_every_platform(feature, values, complaint):
    with pytest.raises(SpecError, match=complaint) as caught:
        requested(feature, values)
    assert not isinstance(caught.value, NotAttainable)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"prefix": "10.1.0.1/16"}, r"routes\[0\]\.prefix: 10\.1\.0\.1/16 has host bits set"),
        ({"next_hop": "leaf2"}, r"routes\[0\]\.next_hop: Expected 4 octets in 'leaf2'"),
        ({"interface": "ethernet-1/1"}, r"routing_detour\.interface: 'ethernet-1/1' of 10\.1\.0\.40/32 does not match"),
    ],
)
def test_a_wrong_route_is_refused_before_it_is_sent(change, complaint):
    with pytest.raises(SpecError, match=complaint):
        requested("routing_detour", {"routes": [{**routes("arista_eos")[0], **change}]})


def test_two_routes_of_one_prefix_are_refused():
    with pytest.raises(SpecError, match=r"routes\[1\]\.prefix: 10\.1\.0\.40/32 has a route already"):
        requested("routing_detour", {"routes": [routes("arista_eos")[0]] * 2})


def test_yaml_reads_on_and_off_as_truth_values_and_the_watchdog_takes_them():
    assert requested("pfc_watchdog", {"watchdog": False})["watchdog"] == "off"
    on = requested("pfc_watchdog", {"watchdog": True, "detection_ms": 10, "recovery_ms": 60_000})
    assert (on["watchdog"], on["detection_ms"], on["recovery_ms"]) == ("on", 10, 60_000)


def test_what_binds_a_port_is_asked_of_every_port():
    pfc = requested("pfc", {"pfc_threshold_bytes": 100_000}, "nokia_srlinux")
    assert pfc["enabled"] == {"ethernet-1/1": True, "ethernet-1/2": True}
    assert pfc["mapping"] == {"ethernet-1/1": "lossless", "ethernet-1/2": "lossless"}
    assert (pfc["sent_priority"], pfc["classes"]) == (3, ["fc3"])


def test_the_next_hop_of_sr_linux_decides_the_interface():
    detour = requested("routing_detour", {"routes": routes("nokia_srlinux")}, "nokia_srlinux")
    assert detour == {
        "next_hop": {"10.1.0.40/32": "10.2.0.4"},
        "group": {"10.1.0.40/32": "detour-10.1.0.40/32"},
        "resolve": {"10.1.0.40/32": False},
    }


def test_what_a_switch_shows_reads_in_our_words_and_units():
    watchdog = parse_setting(target(), "pfc_watchdog", {"watchdog": "on", "detection_ms": 200, "recovery_ms": 200})
    assert [watchdog.understood("detection_ms", shown) for shown in (1, "0.2", "0.20", "0.29", None)] == [
        1000,
        200,
        200,
        290,
        None,
    ]
    assert [watchdog.understood("watchdog", shown) for shown in ("watchdog", None, "?")] == ["on", "off", None]
    gnmi = parse_setting(target("nokia_srlinux"), "pfc_watchdog", {"watchdog": "off"})
    assert [gnmi.understood("watchdog", shown) for shown in (True, False, None)] == ["on", "off", "off"]
