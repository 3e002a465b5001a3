"""Telling the processor which row of an array will be needed soon, so that it comes from memory meanwhile."""

from typing import Any

import numba
import numba.core.config
import numba.extending
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils as untyped_cgutils
from numba.core import types
from numba.np import arrayobj as untyped_arrayobj

cgutils: Any = untyped_cgutils
arrayobj: Any = untyped_arrayobj

FOR_WRITING = 1
ALL_CACHES = 3
DATA = 1


def _prefetch(typingctx: object, rows: Any, row: Any) -> tuple[Any, Any]:  # noqa: ANN401 - Numba's types
    """Fetch the cache line in which a row begins; the row may lie outside the array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        array = arrayobj.make_array(signature.args[0])(context, builder, arguments[0])
        number = context.cast(builder, arguments[1], signature.args[1], types.intp)
        stride = cgutils.unpack_tuple(builder, array.strides)[0]
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.gep(builder.bitcast(array.data, byte), [builder.mul(number, stride)])
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, word(FOR_WRITING), word(ALL_CACHES), word(DATA)])
        return context.get_dummy_value()

    return types.void(rows, row), codegen


def _nothing(rows: npt.NDArray[Any], row: int) -> None:
    """Do nothing, where the kernel is interpreted."""


config: Any = numba.core.config
prefetch: Any = _nothing if config.DISABLE_JIT else numba.extending.intrinsic(_prefetch)
