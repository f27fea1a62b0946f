"""How the functions that kernels are made of are compiled."""

import numba

# For other compiled functions alone: the entries for Python and C that numba adds take a fifth of the time to compile.
inner = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
