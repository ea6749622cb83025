#!/bin/sh
# From a CSV file to clusters on two ranks, in the folder ./demo. Usage: examples/demo.sh [path of the hpcjobs command]
set -eu
hpcjobs=${1:-hpcjobs}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '\n$ hpcjobs %s\n' "$*"; "$hpcjobs" "$@"; }

rm -rf demo
mkdir demo
say "1. Real data to HDF5: 1,797 handwritten digits"
show data import example:digits.csv demo/digits.h5 --target digit --dtype uint8
say "2. k-means on two MPI ranks"
show run kmeans "$(dirname "$0")/kmeans.toml" --data demo/digits.h5 -n 2 --out demo/run
say "3. What happened"
show show demo/run
say "4. The result is demo/run/result.h5. Open it with anything that reads HDF5:"
cat <<'EOF'
  import h5py
  with h5py.File("demo/run/result.h5") as file:
      labels = file["result/labels"][:]      # cluster of each digit; file["result/id"] says which digit
      centres = file["result/centres"][:]    # 10 x 64: each one an 8 x 8 picture
EOF
