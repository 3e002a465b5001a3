"""Every error this library raises, grouped by who has to act.

* AibenchError
  - SpecError       a file or an argument is wrong: the user edits it
    - NotAttainable a switch platform cannot take a value: the report says so
  - LabError        a device, worker or store did not do as told: the operator repairs the lab
  - TrialError      the measurement is not valid: the runner repeats the trial, and says so
    - StartError    hosts do not start as simultaneously as a test asks: the runner goes on without that point
  - UndefinedKpi    the data cannot define this KPI: the report prints "n/a", never 0
"""


class AibenchError(Exception):
    """One clear line for a person: what is wrong, where, and what to do."""


class SpecError(AibenchError):
    """A file or an argument is wrong; the message names the file and the key."""


class NotAttainable(SpecError):  # noqa: N818 - the report's word: a limit of a platform is no fault
    """A value is outside what a switch platform can be set to; the message names the limits and their reason."""


class LabError(AibenchError):
    """A device, worker or store did not do as told."""

    def __init__(self, host: str, message: str) -> None:
        super().__init__(f"{host}: {message}")
        self.host = host
        """The inventory name of what failed, or ``controller``."""


class TrialError(AibenchError):
    """The measurement of one trial is not valid; the message is the reason the report prints."""


class StartError(TrialError):
    """The hosts cannot start, or did not, within the window that a test asks for; a larger one may be possible."""


class UndefinedKpi(AibenchError):  # noqa: N818 - the report's word: a KPI may be undefined without a fault
    """The data at hand cannot define this KPI (too few samples, nothing sent, all rates zero)."""
