# hpcjobs for CPU nodes. From the checkout:
#
#   docker build --file docker/cpu.Dockerfile --tag hpcjobs .
#
# It carries MPICH, which `srun --mpi=pmi2` starts over nodes and `-n 4` on one. With --build-arg EXTRA= it carries
# no MPI and takes the site's (docs/containers.md).

FROM debian:bookworm-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv
COPY pyproject.toml README.md LICENSE /source/
COPY hpcjobs /source/hpcjobs
COPY examples /source/examples
COPY slurm /source/slurm
ARG EXTRA=[local]
RUN python3 -m venv /opt/hpcjobs \
 && /opt/hpcjobs/bin/pip install --no-cache-dir "/source$EXTRA"

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/*
# Apptainer and `docker run --user` come with users of their own: nothing below belongs to this one but /data.
RUN useradd --create-home hpcjobs \
 && install --directory --owner=hpcjobs --group=hpcjobs /data
COPY --from=build /opt/hpcjobs /opt/hpcjobs
ENV PATH=/opt/hpcjobs/bin:$PATH
USER hpcjobs
WORKDIR /data
ENTRYPOINT ["hpcjobs"]
CMD ["--help"]
