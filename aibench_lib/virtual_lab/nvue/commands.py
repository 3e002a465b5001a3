"""The ``nv`` command of a simulated switch, as one user runs it."""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aibench_lib.virtual_lab.nvue import show
from aibench_lib.virtual_lab.nvue.config import Config
from aibench_lib.virtual_lab.nvue.revisions import Pending
from aibench_lib.virtual_lab.nvue.schema import NvueError
from aibench_lib.virtual_lab.nvue.switch import NvueSwitch

_UNITS = {"s": 1, "m": 60, "h": 3600}
_TIMED_DEFAULT_SECONDS = 600
_WITH_VALUE = {"-o", "--output", "-m", "--message", "-r", "--rev"}
_ALONE = {"-y", "--y", "--assume-yes", "--expand", "--applied", "--startup", "--pending", "--confirm-yes"}
_ALONE |= {"--confirm-no", "--confirm-status"}


@dataclass(frozen=True)
class Options:
    """What was said with dashes, and the words that are left."""

    words: list[str]
    said: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.said


def _options(tokens: Sequence[str]) -> Options:
    words, said = [], {}
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        if not token.startswith("-"):
            words.append(token)
        elif token in _WITH_VALUE and rest:
            said[token] = rest.pop(0)
        elif token == "--confirm":
            said[token] = rest.pop(0) if rest and re.fullmatch(r"\d+[smh]?", rest[0]) else ""
        elif token in _ALONE:
            said[token] = ""
        else:
            raise NvueError(f"Error: Invalid option: {token}")
    return Options(words, said)


class Nv:
    """The command, and the revision that its user has pending.

    Args:
        switch: Whose.
        read: Returns the content of a file.
    """

    def __init__(self, switch: NvueSwitch, read: Callable[[str], str]) -> None:
        self._switch = switch
        self._read = read
        self._pending: Pending | None = None

    def run(self, tokens: Sequence[str]) -> str:
        """Do a command and return what it prints.

        Raises:
            NvueError: It is refused.
        """
        verb = _word(tokens, ("set", "unset", "show", "config", "action"), "")
        if verb in ("set", "unset"):
            return self._edit(lambda config: config.do(verb, tokens[1:]))
        options = _options(tokens[1:])
        if verb == "show":
            return show.show(self._switch, options.words)
        if verb == "action":
            return _action(options.words)
        return self._config(options)

    def _edit(self, step: Callable[[Config], None]) -> str:
        """Take a step in the pending revision, which is made for it if there is none."""
        if self._pending is not None:
            self._pending.do(step)
            return ""
        step(self._switch.running.copy())  # one that is refused makes no revision
        self._pending = self._switch.revisions.open()
        self._pending.do(step)
        return f"created [rev_id: {self._pending.number}]\n"

    def _config(self, options: Options) -> str:
        verb = _word(options.words, tuple(self._verbs), "config ")
        return self._verbs[verb](options)

    @property
    def _verbs(self) -> Mapping[str, Callable[[Options], str]]:
        return {
            "apply": self._apply,
            "attach": self._attach,
            "delete": self._delete,
            "detach": self._detach,
            "diff": self._diff,
            "history": lambda _: show.revisions(self._switch),
            "patch": self._patch,
            "replace": self._replace,
            "revision": lambda _: show.revisions(self._switch),
            "save": self._save,
            "show": self._show,
        }

    def _apply(self, options: Options) -> str:
        revisions = self._switch.revisions
        if "--confirm-yes" in options:
            return revisions.confirm() + "\n"
        if "--confirm-no" in options:
            return revisions.reject() + "\n"
        if "--confirm-status" in options:
            left = revisions.waiting.until - revisions.now() if revisions.waiting else 0
            return f"{int(left)} seconds left\n" if left else "No pending confirm\n"
        if not {"-y", "--y", "--assume-yes"} & set(options.said):
            raise NvueError("Error: this simulated switch asks no questions; use -y")
        if len(options.words) > 1:
            target = revisions.find(options.words[1])
            self._pending = revisions.open()
            self._pending.do(lambda config: _become(config, target))
        if self._pending is None:
            raise NvueError("Error: No pending configuration to apply")
        said = revisions.apply(self._pending, options.said.get("-m", "Config update by cumulus"), _seconds(options))
        self._pending = None
        return f"{said}\n"

    def _attach(self, options: Options) -> str:
        start = self._switch.revisions.find(_argument(options, "config attach"))
        self._pending = self._switch.revisions.open(start)
        if options.words[1] != "applied":
            self._pending.do(lambda config: _become(config, start))
        return f"attached [rev_id: {self._pending.number}]\n"

    def _detach(self, _: Options) -> str:
        number = self._pending.number if self._pending else None
        self._pending = None
        return f"detached [rev_id: {number}]\n" if number else ""

    def _delete(self, options: Options) -> str:
        name = _argument(options, "config delete")
        self._switch.revisions.delete(name)
        return f"deleted [rev_id: {name}]\n"

    def _patch(self, options: Options) -> str:
        text = self._read(_argument(options, "config patch"))
        return self._edit(lambda config: config.load(text))

    def _replace(self, options: Options) -> str:
        text = self._read(_argument(options, "config replace"))

        def step(config: Config) -> None:
            config.tree = {}
            config.load(text)

        return self._edit(step)

    def _save(self, _: Options) -> str:
        self._switch.revisions.save()
        return "saved [rev_id: applied]\n"

    def _show(self, options: Options) -> str:
        name = (
            options.said.get("-r") or options.said.get("--rev") or ("startup" if "--startup" in options else "applied")
        )
        config = self._switch.revisions.find(name)
        if "--pending" in options and self._pending:
            config = self._pending.config
        form = options.said.get("-o") or options.said.get("--output") or "yaml"
        if form == "commands":
            return "".join(f"{line}\n" for line in config.lines(expanded="--expand" in options))
        if form == "yaml":
            return config.as_yaml(show.MODEL, show.SOFTWARE)
        raise NvueError(f"Error: '{form}' is not one of ['commands', 'yaml']")

    def _diff(self, options: Options) -> str:
        names = options.words[1:]
        base = self._switch.revisions.find(names[0]) if names else self._switch.running
        pending = self._pending.config if self._pending else self._switch.running
        target = self._switch.revisions.find(names[1]) if len(names) > 1 else pending
        before, after = base.lines(expanded=True), target.lines(expanded=True)
        changes = list(difflib.ndiff(before, after))
        gone = [line[2:].replace("nv set", "nv unset", 1) for line in changes if line.startswith("- ")]
        return "".join(f"{line}\n" for line in gone + [line[2:] for line in changes if line.startswith("+ ")])


def _become(config: Config, other: Config) -> None:
    config.tree = other.copy().tree


def _seconds(options: Options) -> float | None:
    """Return how long an apply waits for its confirmation; a number without a unit is minutes."""
    if "--confirm" not in options:
        return None
    text = options.said["--confirm"]
    if not text:
        return _TIMED_DEFAULT_SECONDS
    return int(text.rstrip("smh")) * _UNITS[text[-1] if text[-1] in _UNITS else "m"]


def _word(tokens: Sequence[str], known: Sequence[str], before: str) -> str:
    typed = tokens[0] if tokens else ""
    if typed in known:
        return typed
    alike = [word for word in known if typed and word.startswith(typed)]
    if len(alike) > 1:
        raise NvueError("Error: Ambiguous Command:\n" + "\n".join(f"  {before}{word}" for word in alike))
    if not alike:
        raise NvueError(f"Error: Invalid Command: {before}{' '.join(tokens)}")
    return alike[0]


def _argument(options: Options, command: str) -> str:
    if len(options.words) != 2:
        raise NvueError(f"Error: Incomplete Command: {command}")
    return options.words[1]


def _action(words: Sequence[str]) -> str:
    """Do what is for the counters that ``nv show`` prints; those of gNMI go on."""
    cleared = {"clear interface counters": "all interface counters cleared\n", "clear qos buffer pool": ""}
    said = cleared.get(" ".join(words))
    if said is None:
        raise NvueError(f"Error: Invalid Command: action {' '.join(words)}")
    return f"{said}Action succeeded\n"
