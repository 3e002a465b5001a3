"""How a KPI is named in results: the RDMA KPIs say what carried them, unless that was RDMA in hardware."""

_RDMA = "KV_xfer_"
BARE = "real-rdma"
"""The only transport whose KPIs need no qualification."""


def qualified(kpi: str, transport: str) -> str:
    """Return the name under which a KPI is reported.

    Only RDMA by a NIC may give a ``KV_xfer_*`` without qualification: what TCP, an RDMA made by the kernel or a
    simulation takes for the same bytes is another quantity.

    Draft: Table 4 defines these KPIs by RDMA operations.

    Args:
        kpi: A name of the draft.
        transport: The label of the samples: ``real-rdma``, ``soft-roce``, ``nixl-<backend>``, ``tcp`` or ``simulated``.
    """
    return kpi if transport == BARE or not kpi.startswith(_RDMA) else f"{kpi} ({transport})"


def bare(name: str) -> str:
    """Return the draft's name of a KPI that may be qualified."""
    return name.partition(" (")[0]
