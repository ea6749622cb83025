# hpcjobs on NVIDIA's CUDA runtime, for GPU nodes. From the checkout:
#
#   docker build --file docker/cuda.Dockerfile --tag hpcjobs-cuda .
#
# hpcjobs has no GPU kernels yet: this image computes on the CPU like that of cpu.Dockerfile, and carries the CUDA
# runtime beside it. No engine has built it yet; its RUN lines are tested on Debian (docs/containers.md).

FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04 AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv
COPY pyproject.toml README.md LICENSE /source/
COPY hpcjobs /source/hpcjobs
COPY examples /source/examples
COPY slurm /source/slurm
ARG EXTRA=[local]
RUN python3 -m venv /opt/hpcjobs \
 && /opt/hpcjobs/bin/pip install --no-cache-dir "/source$EXTRA"

FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04
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
