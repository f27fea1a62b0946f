"""The CPU backend: compiled kernels, the threads and memory they work in, and how they are compiled and kept."""
