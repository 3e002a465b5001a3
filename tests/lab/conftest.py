from collections import Counter


def pytest_terminal_summary(terminalreporter):
    """Print the fault matrix: a line each platform, a column each fault."""
    cells = {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        found = dict(getattr(report, "user_properties", ())).get("cell")
        if found and getattr(report, "when", "") == "teardown":
            platform, fault, outcome = found
            name = report.nodeid.rpartition("[")[2].rstrip("]").removeprefix(platform).strip("-")
            cells[platform, f"{fault} {name}".strip()] = outcome
    if not cells:
        return
    faults = list(dict.fromkeys(fault for _, fault in cells))
    terminalreporter.section("fault matrix")
    for number, fault in enumerate(faults, start=1):
        terminalreporter.write_line(f"{number:3} {fault}")
    width = max(len(platform) for platform, _ in cells)
    terminalreporter.write_line(" " * width + "".join(f"{number:4}" for number in range(1, len(faults) + 1)))
    marks = {"restored": "ok", "not applicable": "-", None: " ", "left changed": "BAD"}
    for platform in dict.fromkeys(platform for platform, _ in cells):
        row = "".join(f"{marks[cells.get((platform, fault))]:>4}" for fault in faults)
        terminalreporter.write_line(f"{platform:{width}}{row}")
    counts = Counter(cells.values())
    terminalreporter.write_line(", ".join(f"{counts[outcome]} {outcome}" for outcome in marks if outcome))
