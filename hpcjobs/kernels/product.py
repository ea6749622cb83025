"""Matrix products in row-major order, written in place and added to what is there: what `numpy.matmul` cannot do."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm, sgemm

Array = NDArray[Any]


def product(a: Array, b: Array, out: Array, *, add: bool = False, flip_a: bool = False, flip_b: bool = False) -> None:
    """out (m, n) = a (m, k) b (k, n), or added to it; `flip_a`: a is given as (k, m), `flip_b`: b as (n, k).

    All contiguous, of one type, float32 or float64. BLAS is column-major, where these are the transposed matrices.
    """
    gemm = sgemm if out.dtype == np.float32 else dgemm
    written = gemm(
        1.0, b.T, a.T, float(add), out.T, trans_a=flip_b, trans_b=flip_a, overwrite_c=True
    )  # out^T = b^T a^T
    assert np.shares_memory(written, out), "BLAS was handed a copy"
