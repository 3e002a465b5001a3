"""Why an agent does not do as it is told; one line each, without the host's name."""


class Refusal(Exception):  # noqa: N818 - an agent's answer, not a fault of this program
    """What the caller is told."""


class InvalidRequest(Refusal):
    """The request itself is wrong."""


class NotReady(Refusal):
    """Something that must come first has not, or the host lacks what the request needs."""


class WrongOrder(NotReady):
    """A call came before another that must come first, or a second time; nothing has changed."""


class Stopped(Refusal):
    """Somebody has stopped the trial."""


class Broken(Refusal):
    """A process of this host has died or done what it must not."""
