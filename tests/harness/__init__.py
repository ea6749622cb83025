"""The MPI test harness: every test marked `mpi(ranks=...)` gets an mpiexec of its own."""
