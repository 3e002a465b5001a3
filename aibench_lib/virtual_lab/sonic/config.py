"""The ``config`` program of the simulated switch."""

import json
from collections.abc import Callable

from aibench_lib.virtual_lab.sonic import database
from aibench_lib.virtual_lab.sonic.call import Call, Result, Subcommand, dispatch, refused
from aibench_lib.virtual_lab.sonic.database import Tables
from aibench_lib.virtual_lab.sonic.programs import written
from aibench_lib.virtual_lab.sonic.validate import ForbiddenError, ModelError, UnknownTableError

_CFGGEN = "/usr/local/bin/sonic-cfggen"
Values = dict[str, str]


def run(call: Call) -> Result:
    """Do one command; only root may configure."""
    if not call.root:
        return Result(err="Root privileges are required for this operation\n", status=1)
    return dispatch("config", _COMMANDS, call)


def _load(call: Call, values: Values) -> Result:
    path = values.get("filename", "/etc/sonic/config_db.json")
    if not {"-y", "--yes"} & set(values):
        return Result(f"Load config from the file(s) {path} ? [y/N]: ", "Aborted!\n", 1)
    if call.switch.file(path) is None:
        return Result(f"The config_db file {path} doesn't exist\n")
    result = written(call, path)
    return Result(f"Running command: {_CFGGEN} -j {path} --write-to-db\n{result.out}", result.err, result.status)


def _save(call: Call, _: Values) -> Result:
    call.switch.save()
    return Result(f"Running command: {_CFGGEN} -d --print-data > /etc/sonic/config_db.json\n")


def _checkpoint(call: Call, values: Values) -> Result:
    switch, name = call.switch, values["checkpoint-name"]
    if name not in switch.checkpoints and len(switch.checkpoints) >= switch.max_checkpoints:
        problem = f"[Errno 28] No space left on device: '/etc/sonic/checkpoints/{name}.cp.json'"
        return _failed(_CHECKPOINT, "Failed to create a config checkpoint", problem)
    switch.checkpoints[name] = database.copied(switch.tables)
    return Result("Checkpoint created successfully.\n")


def _rollback(call: Call, values: Values) -> Result:
    name = values["checkpoint-name"]
    if name not in call.switch.checkpoints:
        problem = f"Checkpoint '{name}' does not exist"
        return _failed(_ROLLBACK, "Failed to rollback config", problem)
    problem = _updated(call, call.switch.checkpoints[name], dry="--dry-run" in values or "-d" in values)
    if problem:
        return _failed(_ROLLBACK, "Failed to rollback config", problem)
    return Result("Config rolled back successfully.\n")


def _replace(call: Call, values: Values) -> Result:
    path = values["target-file-path"]
    content = call.switch.file(path)
    if content is None:
        problem = f"[Errno 2] No such file or directory: '{path}'"
        return _failed(_REPLACE, "Failed to replace config", problem)
    try:
        target = database.whole(database.parse(content))
    except ValueError as error:
        return _failed(_REPLACE, "Failed to replace config", str(error))
    if problem := _updated(call, target, dry="--dry-run" in values or "-d" in values):
        return _failed(_REPLACE, "Failed to replace config", problem)
    return Result("Config replaced successfully.\n")


def _updated(call: Call, target: Tables, *, dry: bool) -> str:
    """Make the CONFIG_DB another one; return why not."""
    before = call.switch.tables
    try:
        call.switch.replace(target)
    except UnknownTableError:
        return "Given patch is not valid because it has changes to tables without YANG models"
    except ModelError as error:
        return f"Given patch will produce invalid config. Error: Data Loading Failed:{error}"
    except ForbiddenError as error:
        return str(error)
    if dry:
        call.switch.replace(before)
    return ""


def _delete(call: Call, values: Values) -> Result:
    name = values["checkpoint-name"]
    if call.switch.checkpoints.pop(name, None) is None:
        return _failed(_DELETE, "Failed to delete config checkpoint", f"Checkpoint '{name}' does not exist")
    return Result("Checkpoint deleted successfully.\n")


def _list(call: Call, _: Values) -> Result:
    return Result(json.dumps(list(call.switch.checkpoints), indent=4) + "\n")


def _admin(status: str) -> Callable[[Call, Values], Result]:
    def act(call: Call, values: Values) -> Result:
        names = values["interface-name"].split(",")
        if any(name not in call.switch.tables["PORT"] for name in names):
            command = _SHUTDOWN if status == "down" else _STARTUP
            return refused("config", command, "Interface name is invalid. Please enter a valid interface name!!")
        call.switch.load(json.dumps({"PORT": {name: {"admin_status": status} for name in names}}))
        return Result()

    return act


def _failed(command: Subcommand, what: str, problem: str) -> Result:
    result = refused("config", command, problem)
    return Result(err=f"{what}\n{result.err}", status=result.status)


_DRY = ("-d", "--dry-run")
_CHECKPOINT = Subcommand(("checkpoint",), _checkpoint, ("checkpoint-name",))
_ROLLBACK = Subcommand(("rollback",), _rollback, ("checkpoint-name",), _DRY)
_REPLACE = Subcommand(("replace",), _replace, ("target-file-path",), _DRY)
_DELETE = Subcommand(("delete-checkpoint",), _delete, ("checkpoint-name",))
_SHUTDOWN = Subcommand(("interface", "shutdown"), _admin("down"), ("interface-name",))
_STARTUP = Subcommand(("interface", "startup"), _admin("up"), ("interface-name",))
_COMMANDS = (
    Subcommand(("load",), _load, ("[filename]",), ("-y", "--yes")),
    Subcommand(("save",), _save, ("[filename]",), ("-y", "--yes")),
    _CHECKPOINT,
    _ROLLBACK,
    _REPLACE,
    _DELETE,
    Subcommand(("list-checkpoints",), _list, writes=False),
    _SHUTDOWN,
    _STARTUP,
)
