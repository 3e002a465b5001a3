"""The transport ``perftest``: the tools that operators know, ``ib_write_bw`` and its like, driven as processes.

A loop is one run of a tool: of ``*_bw``, whose one row stands for all that was sent, or, where an answer is asked for
(``echo``) or a READ has depth 1, of ``*_lat``, whose every sample is a row.  What such a run is not:

* It cannot wait for T0: a tool connects, registers and sends when it is started.  ``posted_ns`` is when sending began,
  so far as that can be told from when the tool ended and how long it says it has measured.
* It follows no schedule, paces nothing, compares no payload, and reports no arrival: all that is refused or not known.
* The tools exchange queue pair numbers and keys in clear text.  Here that goes through one connection a run that must
  begin with a token which came over mutual TLS; it is not encrypted, and the tool itself listens on every address until
  it is connected.  The draft's Section 15 wants better: ``verbs`` has it.
"""

from aibench_lib.worker.transports.perftest.transport import Perftest

__all__ = ["Perftest"]
