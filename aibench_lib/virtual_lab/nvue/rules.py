"""What NVUE refuses when a revision is applied, although each of its settings is one that there is."""

from collections.abc import Iterator

from aibench_lib.virtual_lab.nvue.config import Config

GLOBAL = "default-global"
"""The profile of every port that has none of its own."""
LOSSLESS_POOLS = ("default-lossless", "roce-lossless")
_PROFILED = ("congestion-control", "egress-scheduler", "mapping", "pfc")
_MOST_PERCENT = 100


def profile(config: Config, interface: str, part: str) -> str:
    """Return which profile of a part of QoS an interface has."""
    return config.value("interface", interface, "qos", part, "profile") or GLOBAL


def is_watched(config: Config, interface: str) -> bool:
    """Whether an interface has the PFC watchdog, which is on as soon as it is there."""
    path = ("interface", interface, "qos")
    return "pfc-watchdog" in config.at(*path) and config.value(*path, "pfc-watchdog", "state") != "disabled"


def problems(config: Config) -> list[str]:
    """Return what is wrong with a configuration; empty: it can be applied."""
    return [*_missing_profiles(config), *_thresholds(config), *_shares(config), *_lossless(config)]


def _missing_profiles(config: Config) -> Iterator[str]:
    for interface in config.at("interface"):
        for part in _PROFILED:
            name = profile(config, interface, part)
            if name != GLOBAL and not config.at("qos", part, name):
                yield f"interface.{interface}.qos.{part}.profile: profile '{name}' does not exist"


def _thresholds(config: Config) -> Iterator[str]:
    for name, classes in config.at("qos", "congestion-control").items():
        for number in classes.get("traffic-class", {}):
            path = ("qos", "congestion-control", name, "traffic-class", number)
            low, high = (config.value(*path, limit) for limit in ("min-threshold", "max-threshold"))
            if low and high and int(low) > int(high):
                yield f"{'.'.join(path)}.min-threshold: {low} is greater than max-threshold {high}"


def _shares(config: Config) -> Iterator[str]:
    for name, scheduler in config.at("qos", "egress-scheduler").items():
        path = f"qos.egress-scheduler.{name}.traffic-class"
        classes = scheduler.get("traffic-class", {})
        total = sum(int(next(iter(one["bw-percent"]))) for one in classes.values() if "bw-percent" in one)
        if total > _MOST_PERCENT:
            yield f"{path}: the sum of bw-percent is {total}, which is more than {_MOST_PERCENT}"
        for number, one in classes.items():
            if "dwrr" in one.get("mode", {}) and "bw-percent" not in one:
                yield f"{path}.{number}: mode dwrr needs bw-percent"
    pools = config.at("qos", "traffic-pool").values()
    total = sum(int(next(iter(pool["memory-percent"]))) for pool in pools if "memory-percent" in pool)
    if total > _MOST_PERCENT:
        yield f"qos.traffic-pool: the sum of memory-percent is {total}, which is more than {_MOST_PERCENT}"


def _lossless(config: Config) -> Iterator[str]:
    lossless = {name for name, one in config.at("qos", "pfc").items() if "switch-priority" in one}
    if lossless and not any(config.value("qos", "traffic-pool", pool, "memory-percent") for pool in LOSSLESS_POOLS):
        yield f"qos.pfc.{min(lossless)}: traffic-pool default-lossless has no memory-percent"
    for interface in config.at("interface"):
        if is_watched(config, interface) and profile(config, interface, "pfc") not in lossless:
            yield f"interface.{interface}.qos.pfc-watchdog: PFC is not configured on {interface}"
