"""Platforms are data: what a platform.yml may say, and what it may not."""

import shutil

import pytest
import yaml

from aibench_lib.errors import SpecError
from aibench_lib.platforms import TEMPLATES, Choice, Range, Source, load_platform, platform_names
from aibench_lib.telemetry.measurements import FIELDS


@pytest.fixture(params=platform_names())
def platform(request):
    return load_platform(request.param)


@pytest.fixture
def copied(tmp_path):
    """A copy of the EOS platform, and a function that writes a changed platform.yml into it."""
    shutil.copytree(TEMPLATES / "arista_eos", tmp_path / "arista_eos")
    path = tmp_path / "arista_eos" / "platform.yml"
    content = yaml.safe_load(path.read_text())

    def write(change):
        change(content)
        path.write_text(yaml.safe_dump(content))
        return load_platform("arista_eos", tmp_path)

    return write


def test_there_are_platforms_of_both_transports():
    assert {load_platform(name).transport for name in platform_names()} == {"netmiko", "gnmi"}


def test_an_unknown_platform_is_answered_with_those_there_are():
    with pytest.raises(SpecError, match=r"platform 'arista': .*known: arista_eos, .*nokia_srlinux"):
        load_platform("arista")


def test_telemetry_becomes_fields_that_are_stored(platform):
    for entry in platform.telemetry:
        assert set(entry.leaves.values()) <= set(FIELDS[entry.measurement])
        assert set(entry.true_when) <= set(entry.leaves.values())


def names(entry, placeholder):
    """Whether a path, or each of its leaves, says which one it is about."""
    return all("{" + placeholder + "}" in f"{entry.path} {leaf}" for leaf in entry.leaves)


def test_every_queue_record_is_tagged_with_its_port_and_queue(platform):
    for entry in platform.telemetry:
        if entry.measurement == "queue":
            tags = {name for name in ("interface", "queue") if names(entry, name)}
            assert tags | set(entry.tag_leaves.values()) == {"interface", "queue"}


def test_depth_marks_and_drops_of_a_queue_are_streamed(platform):
    if not platform.telemetry:
        pytest.skip("it streams nothing")
    fields = {name for entry in platform.telemetry if entry.measurement == "queue" for name in entry.leaves.values()}
    assert fields >= {"ecn_marked_packets", "dropped_packets", "transmit_packets"}
    assert fields & {"depth_bytes", "peak_bytes"}


def test_every_group_of_facts_says_who_stands_behind_it(platform):
    groups = [platform.gnmi, *platform.features.values(), *platform.telemetry]
    assert all(isinstance(group.source, Source) for group in groups)


def test_everything_a_template_sets_is_read_back(platform):
    for feature in platform.features.values():
        beside = {name for values in feature.beside.values() for name in values}
        told = {*feature.ranges, *feature.choices, *feature.each, *feature.always, *beside}
        assert feature.read_back.names == told


def test_every_word_that_is_read_back_can_be_asked_for(platform):
    for feature in platform.features.values():
        told = {**feature.always, **{name: one for values in feature.beside.values() for name, one in values.items()}}
        same = {f"{{{name}}}": choice for name, choice in feature.choices.items()}
        for name, words in feature.read_back.words.items():
            choice = feature.choices.get(name) or same.get(str(told[name]))
            asked, lacking = (choice.values, choice.lacking) if choice else ([told[name]], [])
            assert set(words.values()) - set(lacking) == set(asked)


def test_options_that_a_feature_needs_are_explained(platform):
    for feature in platform.features.values():
        assert set(feature.options) <= set(platform.options)


def test_frames_of_pause_are_streamed_by_port_and_priority(platform):
    entries = [entry for entry in platform.telemetry if entry.measurement == "pfc"]
    fields = {name for entry in entries for name in entry.leaves.values()}
    assert fields >= {"pause_rx_frames", "pause_tx_frames"} or not entries
    for entry in entries:
        assert names(entry, "interface")
        assert names(entry, "priority") or names(entry, "queue")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: c.update(titel="x"), r"arista_eos/platform\.yml\.titel: unknown key; did you mean 'title'"),
        (lambda c: c["cli"]["edit"].pop("atomic"), r"platform\.yml: cli\.edit\.atomic: missing"),
        (lambda c: c["cli"].update(source="hearsay"), r"cli\.source: 'hearsay' is not one of vendor-doc, vendor-yang"),
        (lambda c: c.pop("cli"), "cli: missing; transport netmiko needs it"),
        (lambda c: c.update(transport="gnmi"), r"gnmi\.snapshot: missing"),
        (lambda c: c.update(transport="telnet"), "transport: 'telnet' is not one of netmiko, gnmi"),
        (lambda c: c.update(features=[]), "features: expected keys and values, found list"),
        (lambda c: c.update(telemetry={}), "telemetry: expected a list, found dict"),
        (lambda c: c["features"]["ecn"]["ranges"]["kmin_bytes"].pop("max"), r"features\.ecn\.ranges\.kmin_bytes\.max"),
        (lambda c: c["features"]["ecn"].update(template="wred.j2"), r"there is no wred\.j2 beside this file"),
        (lambda c: c["features"]["ecn"]["read_back"]["blocks"][0].update(lines=["("]), "is not a regular expression"),
        (lambda c: c["features"]["ecn"]["read_back"].update(blocks={}), "blocks: expected a list, found dict"),
        (
            lambda c: c["features"]["pfc_watchdog"]["choices"]["watchdog"].pop("reason"),
            r"pfc_watchdog\.choices\.watchdog\.reason: missing",
        ),
        (lambda c: c["telemetry"][0].update(mode="poll"), r"telemetry\[0\]\.mode: 'poll' is neither"),
        (lambda c: c["telemetry"][0].update(fields={}), r"telemetry\[0\]\.fields: unknown key"),
    ],
)
def test_a_wrong_platform_file_is_one_line_with_file_and_key(copied, change, complaint):
    with pytest.raises(SpecError, match=complaint):
        copied(change)


def test_a_file_that_is_a_list_is_refused(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "platform.yml").write_text("- a\n")
    with pytest.raises(SpecError, match="expected keys and values, found list"):
        load_platform("x", tmp_path)


def test_a_platform_has_the_features_it_has():
    with pytest.raises(SpecError, match=r"feature 'fec': Arista EOS has .*ecn, .*load_balancing, pfc"):
        load_platform("arista_eos").feature("fec")


def test_both_limits_of_a_range_are_attainable():
    limits = Range(min=1, max=256_000_000, unit="bytes", reason="limits of the command")
    assert limits.refusal(1, {}) is None
    assert limits.refusal(256_000_000, {}) is None
    assert limits.refusal(256_000_001, {}) == "256000001 > max 256000000 bytes"
    assert limits.refusal(0, {}) == "0 < min 1 bytes"


def test_a_value_between_two_steps_is_not_attainable():
    limits = Range(min=10, max=60_000, step=10, unit="ms", reason="two decimals")
    assert limits.refusal(20, {}) is None
    assert limits.refusal(25, {}) == "25 is no multiple of 10 ms"


def test_a_value_is_told_in_the_unit_of_the_platform():
    limits = Range(min=1, max=12_480, unit="KB", per_unit=1000, reason="limits of the command")
    assert limits.told(100_000, {}) == 100
    assert limits.refusal(100_500, {}) == "100500 is no multiple of 1000 (the switch takes KB)"
    assert limits.refusal(20_000_000, {}) == "20000000 > max 12480 KB = 1.248e+07"


def test_whole_per_cents_of_a_buffer_are_the_nearest_to_what_is_asked():
    limits = Range(min=1, max=100, unit="percent", percent_of="queue_buffer_bytes", reason="whole per cents")
    options = {"queue_buffer_bytes": 10_000_000}
    assert limits.told(1_040_000, options) == 10
    assert limits.refusal(1_040_000, options) is None
    assert limits.refusal(40_000, options) == "40000 < min 1 percent = 100000"


def test_a_word_that_a_platform_lacks_is_answered_with_those_it_has():
    choice = Choice(values=["ecmp", "flowlet"], lacking=["packet_spray"], reason="the command")
    assert choice.refusal("flowlet") is None
    assert choice.refusal("packet_spray") == "'packet_spray' is not one of ecmp, flowlet"
