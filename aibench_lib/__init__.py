"""aibench: the IETF draft's benchmarks of AI inference serving network fabrics, as a library.

The library never imports Ansible; playbooks and plugins are one of its faces, ``aibench`` is the other.
"""

__version__ = "0.1.0"

DRAFT = "draft-calabria-bmwg-ai-fabric-inference-bench-01"
"""The revision whose numbers the catalogue holds."""
