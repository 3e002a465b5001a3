"""How large the KV cache of a request is (S_KV)."""

from aibench_lib.catalogue import LayerGroup, Model
from aibench_lib.errors import SpecError


def s_kv_unit(group: LayerGroup) -> int:
    """Return what one layer caches of one token: its key and its value [bytes].

    Draft: Section 2 (S_KV).
    """
    return 2 * group.kv_heads * group.head_dimension * group.element_bytes


def kv_cache_bytes(model: Model, context_tokens: int) -> int:
    """Return the size of a request's KV cache, summed over the layers [bytes].

    A layer with a sliding attention window caches no more tokens than its window.

    Draft: Section 2 (S_KV), Appendix E.

    Args:
        model: Its layer groups; a model whose layers are all alike has one.
        context_tokens: Tokens of the prompt and those generated so far.

    Raises:
        SpecError: The context is negative.
    """
    if context_tokens < 0:
        raise SpecError(f"a context has 0 tokens or more, not {context_tokens}")
    return sum(group.layers * s_kv_unit(group) * _cached_tokens(group, context_tokens) for group in model.layer_groups)


def _cached_tokens(group: LayerGroup, context_tokens: int) -> int:
    return context_tokens if group.window_tokens is None else min(context_tokens, group.window_tokens)
